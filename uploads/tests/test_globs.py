import time

import pytest

from uploads.transfer.globs import InvalidGlob, GlobFilter, check_glob


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
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
    ],
)
def test_what_a_glob_matches(glob: str, yes: list[str], no: list[str]) -> None:
    globs = GlobFilter([glob])
    assert [path for path in yes if not globs.matches(path)] == []
    assert [path for path in no if globs.matches(path)] == []


def test_exclude_wins_and_nothing_means_all() -> None:
    globs = GlobFilter(["*.csv", "keep/**"], ["tmp/**", "*.bak.csv"])
    taken = [p for p in ("a.csv", "tmp/a.csv", "keep/x", "b.bak.csv", "x") if globs.matches(p)]
    assert taken == ["a.csv", "keep/x"]
    assert GlobFilter().matches("anything/at all")


def test_a_folder_of_which_all_is_excluded_is_not_entered() -> None:
    globs = GlobFilter(exclude=["tmp/**", "**/cache/**", "*.log"])
    entered = [p for p in ("tmp", "tmp2", "x/tmp", "cache", "x/cache", "a.log") if globs.may_match_in(p)]
    assert entered == ["tmp2", "x/tmp", "a.log"]


@pytest.mark.parametrize(
    "glob", ["", "/a", "a/", "a//b", "../a", "a/./b", "a**", "[a", "[z-a]", "a\\b", "a\0", "a\n"]
)
def test_what_is_no_glob_is_refused(glob: str) -> None:
    with pytest.raises(InvalidGlob):
        check_glob(glob)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a" * 90 + "b", "a" * 250),
        ("**/a/" * 35 + "b", "a/" * 500 + "c"),
        ("[a-z]*" * 30 + "!", "a" * 250),
    ],
)
def test_no_glob_takes_long(glob: str, path: str) -> None:
    globs, start = GlobFilter([glob]), time.perf_counter()
    assert not globs.matches(path)
    assert time.perf_counter() - start < 0.5
