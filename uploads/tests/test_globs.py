import time

import pytest

from uploads.transfer.globs import GlobFilter, InvalidGlob, check_glob


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("*.csv", ["a.csv", "x/y/a.csv", ".csv"], ["a.csv.gz", "a.csv/b"]),
        ("raw/*.csv", ["raw/a.csv"], ["raw/x/a.csv", "x/raw/a.csv", "a.csv"]),
        ("raw/**", ["raw/a", "raw/x/y"], ["raw", "x/raw/a", "rawer/a"]),
        ("**/raw/*", ["raw/a", "x/y/raw/a"], ["raw/x/a", "xraw/a"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/bz", "az", "x/a/z"]),
        ("**/a/**/b", ["a/b", "x/a/y/z/b"], ["a/c", "b/a"]),
        ("a/**/b/**", ["a/b/c", "a/x/b/y/z"], ["a/b", "a/c"]),
        ("a?c", ["abc", "x/a.c"], ["ac", "a/c", "abbc"]),
        ("[a-c]1", ["a1", "c1"], ["d1", "-1"]),
        ("[!a-c]1", ["d1"], ["a1", "1", "/1"]),
        ("[]x]", ["]", "x"], ["[]x]"]),
        ("[*]", ["*"], ["a"]),
        ("a*b*c", ["abc", "axbxc", "abbcc", "abcbc"], ["acb", "ab"]),
        ("x.(y)+$", ["x.(y)+$"], ["xz(y)+$"]),
        ("**", ["a", "a/b"], []),
        ("A", ["A"], ["a"]),
        ("*\u00e9", ["caf\u00e9"], ["cafe"]),
        ("[{]a[}].csv", ["{a}.csv", "x/{a}.csv"], ["a.csv"]),
        ("a!b", ["a!b"], ["ab"]),
        ("[a^]", ["a", "^"], ["b"]),
        ("a (1),~b.csv", ["a (1),~b.csv"], ["a (1)"]),
    ],
)
def test_a_glob_matches_some_paths_and_not_others(
    glob: str, matching: list[str], other: list[str]
) -> None:
    globs = GlobFilter([glob])
    assert [path for path in matching if not globs.matches(path)] == []
    assert [path for path in other if globs.matches(path)] == []


def test_exclude_wins_over_include_and_an_empty_include_matches_all() -> None:
    globs = GlobFilter(["*.csv", "keep/**"], ["tmp/**", "*.bak.csv"])
    matched = [p for p in ("a.csv", "tmp/a.csv", "keep/x", "b.bak.csv", "x") if globs.matches(p)]
    assert matched == ["a.csv", "keep/x"]
    assert GlobFilter().matches("anything/at all")


def test_a_completely_excluded_folder_is_not_scanned() -> None:
    globs = GlobFilter(exclude=["tmp/**", "**/cache/**", "*.log"])
    scanned = [
        p for p in ("tmp", "tmp2", "x/tmp", "cache", "x/cache", "a.log") if globs.may_match_in(p)
    ]
    assert scanned == ["tmp2", "x/tmp", "a.log"]


@pytest.mark.parametrize(
    ("reason", "globs"),
    [
        ("empty", [""]),
        ("begins with a slash", ["/a", "/", "//", "a//b"]),
        ("ends with a slash", ["a/", "a/b/", "**/"]),
        ("segment . or ..", ["../a", "a/./b", "..", "."]),
        ("Two stars", ["a**", "**a", "a/**b/c", "***"]),
        ("unclosed bracket", ["[a", "a/[b", "[]", "[z-a]", "[a/b]"]),
        ("backslash or a control", ["a\\b", "\\", "a\0", "a\n", "\ud800"]),
        ("begins with !", ["!a", "!*.csv", "!"]),
        ("braces", ["*.{jpg,png}", "{a", "a}", "x/{1..3}/y", "[a]{b}"]),
        (r"Write \[!a\]", ["[^a]", "x[^a-z]*", "[[:digit:]]", "[![:alpha:]]"]),
    ],
)
def test_an_invalid_glob_is_rejected_with_the_reason(reason: str, globs: list[str]) -> None:
    for glob in globs:
        with pytest.raises(InvalidGlob, match=reason):
            check_glob(glob)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a" * 90 + "b", "a" * 250),
        ("**/a/" * 35 + "b", "a/" * 500 + "c"),
        ("[a-z]*" * 30 + "!", "a" * 250),
    ],
)
def test_hostile_globs_take_linear_time(glob: str, path: str) -> None:
    globs, start = GlobFilter([glob]), time.perf_counter()
    assert not globs.matches(path)
    assert time.perf_counter() - start < 0.5
