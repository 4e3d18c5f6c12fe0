"""The answer in what open models write: reasoning, channels and end tokens are left out."""

import time

import pytest

from common.ai.provider.reasoning import extract_answer

ANSWER = "The cooling pump failed on Monday. A new spare has to be ordered."
WRAPPED = [
    "{}",
    "{}</answer>",
    "{}[|endofturn|]",
    "Okay, a summary.\n</think>\n\n{}",
    "Okay.</think>{}",
    "Okay. </think> {}",
    "</think>{}",
    "I should quote </think> maybe.\n</think>\n{}",
    "<think>a\nb</think>\n{}",
    "<think>\n\n</think>\n\n{}",
    "<think>a</think><think>b</think>{}",
    "<think>\nFirst. <think> inner </think>\n{}",
    '<think type="x">y</think>{}',
    "<Think>x</Think>{}",
    "<thinking>\nx\n</thinking>\n\n{}",
    "<thought>x</thought>{}",
    "<reasoning>x</reasoning>{}",
    "<reflection>x</reflection>\n<answer>{}</answer>",
    "<scratchpad>x</scratchpad>{}",
    "<antThinking>x</antThinking>{}",
    "<inner_monologue>x</inner_monologue>{}",
    "<chain_of_thought>x</chain_of_thought>{}",
    "<seed:think>x</seed:think>{}<seed:eos>",
    "<start_working_out>x<end_working_out><SOLUTION>{}</SOLUTION>",
    "[THINK]x y[/THINK]{}",
    "\u25c1think\u25b7x\u25c1/think\u25b7{}",
    "<unused94>thought\nx<unused95>{}",
    "<|begin_of_thought|>\nx\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{}\n<|end_of_solution|>",
    "<|START_THINKING|>x<|END_THINKING|><|START_RESPONSE|>{}<|END_RESPONSE|>",
    "<|channel>thought\nx<channel|>{}",
    "<think>x</think><answer>{}</answer><|im_end|>",
    "<think>x\n<answer>{}</answer>",
    "<|thought|>x<|answer|>{}",
    '<details type="reasoning" done="true">\n<summary>Thought</summary>\n> x\n</details>\n{}',
    "```thinking\nx\n```\n{}",
    "<planning>x</planning>{}",
    "<reasoning_content>x</reasoning_content>{}",
    "<s>[INST] q [/INST] {}</s>",
    "x[/THINK]{}",
    "x.\u25c1/think\u25b7{}",
    "{}\n\n<think>\nwait\n</think>",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{}",
    ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>c"
    "<|end|><|start|>assistant<|channel|>final <|constrain|>text<|message|>{}<|return|>"),
    "<|start|>assistant<|channel|>final<|message|>{}",
    "analysisThe user wants a summary.assistantfinal{}",
    "analysis\nThe user\nassistantfinal\n{}",
    "<s> {}</s>",
    "<|im_start|>assistant\n{}<|im_end|>",
    "<start_of_turn>model\n{}",
    "<|assistant|>\n{}<|user|>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>{}",
    "{}<|im_end|>\n<|im_start|>user\nAnd then?",
    "{}<end_of_turn>\n<start_of_turn>user\nmore",
    "{}\n<|im_end|><|endoftext|>",
    *("{}" + token for token in (
        "<|im_end|>", "</s>", "<end_of_turn>", "<end_of_utterance>", "<|im_end", "[END]",
        "<|eot_id|>", " <|eot_id|>", "[/INST]", " [/INST]", "<|endoftext|>", "<|end|>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>", "<\uff5cUser\uff5c>And?", "<|return|>", "<eos>",
        "<|END_OF_TURN_TOKEN|>", "<|end_of_text|>", "<turn|>",
    )),
]  # fmt: skip
MENTIONS = [
    "The note explains that the `</think>` tag closes the reasoning.",
    "The team uses <think> tags around reasoning. They parse the </think> tag too.",
    "The model writes its reasoning in <think>\u2026</think> tags before the answer.",
    "The tokens <|im_end|> and </s> end a turn.",
    'The tag "<think>" opens it and "</think>" ends it.',
    "- `<think>` opens\n- `</think>` ends",
    "Prices fell <s>old</s> again.",
    "Ada said [INST] starts it. Bob agreed.",
    "They chose the <think>-tag and the </think>-tag.",
    "The server leaves </think>, which is wrong.",
    "Analysis of the pump: it failed.",
    "Use [END] to stop. Then go.",
    "A <summary> element was added. It works.",
    "The parser looks for <think>, </think>, and </s>.",
]
ONLY_REASONING = [
    "<think>Let me",
    "<think>a</think>",
    "<reasoning>x</reasoning>\n",
    "[THINK]x",
    "<|channel|>analysis<|message|>Hm",
    "<|im_end|>",
    "",
]


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_only_the_answer_is_left(wrapped: str) -> None:
    assert extract_answer(wrapped.format(ANSWER)) == ANSWER


@pytest.mark.parametrize("text", MENTIONS)
def test_a_text_about_such_marks_is_kept(text: str) -> None:
    assert extract_answer(text) == text


@pytest.mark.parametrize("text", ONLY_REASONING)
def test_reasoning_alone_is_no_answer(text: str) -> None:
    assert extract_answer(text) == ""


def test_pathological_answers_are_read_quickly() -> None:
    marks = ("<think>", "</think>", "<|", "a ", "\n", ". ", "<s>", "</s> x", "analysis", "[INST]")
    started = time.process_time()
    for mark in marks:
        extract_answer(mark * (100_000 // len(mark)))
    assert time.process_time() - started < 2
