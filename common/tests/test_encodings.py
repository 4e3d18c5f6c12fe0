"""Text files in other encodings than UTF-8 are read correctly or refused."""

import pytest

from common.documents import DocumentRefused, DocumentType, extract
from common.documents.plain_text import decode

POLISH = (
    "Naukowcy zauważyli, że pompa chłodząca uległa awarii. Trzeba zamówić nową część przed "
    "grudniem. W czwartek zarząd podejmie decyzję o budżecie."
)
CZECH = "Čerpadlo se v pondělí porouchalo a serverovna dosáhla 38 stupňů."
HUNGARIAN = "A szivattyú hétfőn elromlott, és a szerverterem 38 fokot ért el."
TURKISH = (
    "Pompa pazartesi sabahı bozuldu ve sunucu odası 38 dereceye ulaştı. Kurul cuma günü bütçeye "
    "karar verecek."
)
RUSSIAN = "Насос вышел из строя в понедельник утром. Привет из Москвы, всё хорошо."
GREEK = "Η αντλία χάλασε τη Δευτέρα το πρωί."
LITHUANIAN = "Siurblys sugedo pirmadienio rytą, o serverinėje buvo 38 laipsniai. Reikia užsakyti."
GERMAN = (
    "Die Kühlpumpe ist am Montag ausgefallen, und im Serverraum waren es 38 Grad. Äpfel für "
    "Österreich müssen wir später bestellen."
)
FRENCH = "Où est l’hôtel ? Il est là, à côté du théâtre. La décision a été prise l’été dernier."
CHINESE = "水泵在星期一早上坏了，服务器机房温度达到三十八度。"
JAPANESE = "ポンプが月曜日の朝に故障した。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (POLISH, "cp1250"),
        (POLISH, "iso8859-2"),
        (CZECH, "cp1250"),
        (CZECH, "iso8859-2"),
        (HUNGARIAN, "cp1250"),
        (HUNGARIAN, "iso8859-2"),
        ("Pompa s-a defectat luni dimineaţă şi camera a ajuns la 38 de grade.", "cp1250"),
        (TURKISH, "cp1254"),
        (TURKISH, "iso8859-9"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp866"),
        (GREEK, "cp1253"),
        (GREEK, "iso8859-7"),
        (LITHUANIAN, "cp1257"),
        ("המשאבה התקלקלה ביום שני בבוקר.", "cp1255"),
        ("تعطلت المضخة صباح يوم الاثنين.", "cp1256"),
        ("ปั๊มเสียเมื่อเช้าวันจันทร์", "cp874"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "iso2022-jp"),
        (CHINESE, "gb18030"),
        ("水泵在星期一早上壞了。", "big5"),
        ("펌프가 월요일 아침에 고장났다.", "euc-kr"),
        (POLISH, "utf-16-le"),
        (RUSSIAN, "utf-16-be"),
        ("Grüße", "utf-16-le"),
    ],
)
def test_a_text_in_another_encoding_is_read(text, encoding):
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text",
    [
        GERMAN,
        FRENCH,
        "The café is open until ten and we meet there on Monday.",
        "“Quoted” text with a dash – and it’s here.",
        "El niño comió paella en España mañana.",
        "Nessun file è stato inviato.",
        "A bomba avariou na segunda-feira de manhã.",
        "Smørrebrød på bordet",
        "Price: 20 € for the meeting room, at 38°",
        "© 2026 Example Ltd. All rights reserved.",
    ],
)
def test_a_western_text_is_read_as_windows_1252(text):
    assert decode(text.encode("cp1252")) == text


def test_utf_8_stays_utf_8_in_every_language():
    for text in (POLISH, CZECH, TURKISH, RUSSIAN, GREEK, GERMAN, FRENCH, CHINESE, "Ã¼", "Å‚"):
        assert decode(text.encode()) == text


@pytest.mark.parametrize(
    "data",
    [
        POLISH.encode("iso8859-2").replace(b"\xb6", b"\x9c"),  # half Latin-2, half Windows-1250
        GERMAN[-30:].encode("mac-roman"),
        b"M\xe1y b\xf5m",  # three Vietnamese letters
        b"\x81\x8d\x90 text",
    ],
)
def test_an_unclear_encoding_is_refused_with_advice(data):
    with pytest.raises(DocumentRefused, match="Save the file as UTF-8"):
        extract(data, DocumentType.TEXT)


def test_a_long_text_with_late_accents_is_read():
    text = "All in plain words here.\n" * 20_000 + GERMAN
    assert decode(text.encode("cp1252")) == text
