"""Texts to summarise in tests: news, a meeting, samples of several languages."""

NEWS = """By Anna Reporter
The city council voted on Tuesday to close the old harbour bridge for two years of repairs.
The work will cost 48 million euros and start in March, the mayor, Ines Moreau, told reporters.
Some 20,000 vehicles cross the bridge each day. Most will have to use the northern tunnel.
Shop owners on the south bank fear for their trade. "We were not asked," said one of them.
The bridge was opened in 1931. It was last repaired after the flood of 1978.
A group of engineers had warned in a report last year that its cables were rusting.
Residents can see the plans in the town hall until the end of the month."""

MEETING = """Project Manager: Okay. Um, yeah.
Marketing: Yeah.
Project Manager: So we have to decide on the material of the remote control for the young market.
Industrial Designer: Uh, the supplier has rubber and titanium, and rubber is the cheaper one.
Marketing: Right.
Marketing: Our survey says that young people want bright colours and a spongy material like rubber.
Project Manager: Mm-hmm.
User Interface: But a rubber case cannot be combined with a curved display.
Project Manager: Okay, so the case will be of rubber with a flat display, and we drop the curve.
Industrial Designer: Yeah. That keeps the price under twelve Euro."""

SAMPLES = {
    "german": "Der Rat der Stadt beschloss am Dienstag die Sperrung der alten Brücke. " * 2
    + "Die Arbeiten kosten rund 48 Millionen Euro. Täglich fahren 20.000 Autos über die Brücke.",
    "russian": "Городской совет решил закрыть старый мост на два года. Ремонт обойдётся дорого. "
    "Каждый день по мосту проезжают тысячи машин. Жители могут увидеть планы в ратуше.",
    "arabic": "قرر مجلس المدينة إغلاق الجسر القديم لمدة عامين. ستبدأ أعمال الإصلاح في مارس. "
    "هل يعرف السكان ذلك؟ يعبر الجسر آلاف السيارات كل يوم.",
    "hindi": "नगर परिषद ने पुराने पुल को दो साल के लिए बंद करने का फैसला किया। काम मार्च में शुरू होगा।",
    "chinese": "市议会周二决定关闭旧桥两年进行维修。工程将于三月开始。每天有两万辆车经过这座桥。",
    "thai": "สภาเมืองลงมติให้ปิดสะพานเก่าเป็นเวลาสองปี งานจะเริ่มในเดือนมีนาคม รถสองหมื่นคันข้ามสะพานทุกวัน",
}

# What `COPY` must escape.
SPECIAL_TEXT = "tab\t, line\n, backslash \\ and \\N, quote ' \" and \\. or Ünïcödé 🐘"
