# ruff: noqa: E501 - the messages are as providers send them
"""Messages of errors as providers word them, by what they mean."""

from typing import Any

TOO_LONG = [
    (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
        "tokens. Please reduce the length of the messages."
    ),
    (
        "This model's maximum context length is 4097 tokens, however you requested 5360 tokens (3360 "
        "in your prompt; 2000 for the completion)."
    ),
    (
        "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 "
        "tokens (7000 of text input, 2000 in the output)."
    ),
    "prompt is too long: 210000 tokens > 200000 maximum",
    (
        "input length and `max_tokens` exceed context limit: 199000 + 2000 > 200000, decrease input "
        "length or `max_tokens` and try again"
    ),
    "Input is too long for requested model.",
    "The input token count (6000) exceeds the maximum number of tokens allowed (4096).",
    (
        "Unable to submit request because the input token count is 1100000 but model only supports up "
        "to 1048576."
    ),
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 6000]",
    (
        "Trying to keep the first 6000 tokens when context the overflows. However, the model is loaded "
        "with context length of only 4096 tokens, which is not enough."
    ),
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "the request exceeds the available context size. try increasing the context size",
    "request (6021 tokens) exceeds the available context size (4096 tokens)",
    "input is too large to process. increase the physical batch size",
    "the input length exceeds the context length",
    "prompt too long; exceeded max context length by 1904 tokens",
    "Please reduce the length of the messages or completion.",
    (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 "
        "`inputs` tokens and 500 `max_new_tokens`"
    ),
    "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length"
    ),
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Too many input tokens. Max input tokens: 8192, request input token count: 10000",
    "Invalid request: Your request exceeded model token limit: 8192",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "The decoder prompt (length 6000) is longer than the maximum model length of 4096.",
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context "
        "length is 4096 tokens and your request has 3000 input tokens (2000 > 4096 - 3000)."
    ),
    (
        "Invalid 'messages[1].content': string too long. Expected a string with maximum length "
        "1048576, but got a string with length 2000000 instead."
    ),
    "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
    "Request too large for model",
    "Prompt \u8d85\u957f",
    "\u8f93\u5165\u957f\u5ea6\u8d85\u8fc7\u9650\u5236",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Requested token count exceeds the model's maximum context length of 131072 tokens",
    "context_window_exceeded",
    "ContextWindowExceededError",
    "The total length of input and output exceeds the limit",
    "Total tokens of image and text exceed max message tokens",
    "Input length 9000 exceeds maximum allowed token size 8192",
    "Prompt exceeds max length",
    "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    "prompt token count of 130000 exceeds the limit of 128000",
    "This request exceeds the model's context window",
    "exceeded the maximum number of tokens",
    "The model returned the following errors: Input is too long",
    "Requested tokens (6000) exceed context window of 4096",
    "prompt size exceeds n_ctx",
    "Message too long",
    "Too many characters in the text",
    "text is over the limit of 4096 tokens",
    "the prompt does not fit in the context",
    "Sequence length 6000 is over the limit",
    "Token indices sequence length is longer than the specified maximum sequence length for this model (6000 > 4096)",
    "context size exceeded",
    "Context overflow",
    "Not enough context space for the prompt (6000 > 4096)",
    "maximum context length exceeded",
    "Prompt has 6000 tokens; the limit is 4096.",
    "The prompt is longer than the model can handle (6000 of 4096 tokens)",
    "you requested 6000 tokens but the model supports 4096 tokens of context",
    "Input tokens exceed the configured limit of 4096 tokens. Your messages resulted in 6000 tokens.",
    "please shorten your prompt",
    "Please reduce your prompt; or completion length.",
    "The message you submitted was too long, please reload the conversation and submit something shorter.",
    "prompt_too_long",
    "input_too_long",
    "max_context_length_exceeded",
    "Requested 6000 tokens, which exceeds context of 4096",
    "number of input tokens (6000) has exceeded max_prompt_length (4096) limit",
    "This model has a context window of 4096 tokens, your request needs 6000 tokens",
    "longer than maximum model length",
    "The total number of tokens exceeds 4096",
    "token limit exceeded",
    "Conversation is too big for the model",
    "n_keep: 6000 >= n_ctx: 4096",
    "exceeds model len 4096",
]
RATE_LIMITS_FOR_GOOD = [
    (
        "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 4000, "
        "Requested 6000. The input or output tokens must be reduced in order to run successfully."
    ),
    "Rate limit reached on tokens per min (TPM): Limit: 4,000, Requested: 6,000.",
    (
        "Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 9000, "
        "please reduce your message size and try again."
    ),
    "This request is larger than your tokens-per-minute limit",
    "A single request can't have more than 4000 tokens",
    "Request too large for organization: input of 6000 tokens exceeds the rate limit of 4000 tokens per minute",
    "Requested 6000 tokens, limit 4000 tokens per minute",
    "Your request of 6000 tokens exceeds the maximum of 4000 tokens per minute",
    "The prompt is too long for your rate limit",
    "Please shorten your prompt",
]
RATE_LIMITS = [
    "Rate limit for gpt-4o exceeded: Limit 30000, Used 29000, Requested 2000.",
    (
        "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested "
        "2000. Please try again in 2s."
    ),
    "This request would exceed your organization's rate limit of 40,000 input tokens per minute.",
    "Requests to the API have exceeded token rate limit of your current pricing tier.",
    "Provider returned error",
    "Too many requests",
    "Rate limit exceeded: free-models-per-min",
    "You exceeded your current rate limit. Try again in 20s",
    "Tokens per minute limit reached: limit 4000, used 3900, requested 500",
    "Quota exceeded for metric: generate_content_free_tier_input_token_count, limit: 250000",
    "Rate limit: please reduce the number of requests",
    "Rate limit exceeded. Max 60 requests per minute",
    "The engine is currently overloaded",
    "Number of request tokens has exceeded your per-minute rate limit",
]
SYSTEM_ROLE_REFUSALS = [
    "System role not supported",
    "system role is not supported",
    "role 'system' is not supported on this model",
    "This model does not support system messages.",
    "This model doesn't support the system prompt",
    "System messages are not allowed for this model.",
    "Developer instruction is not enabled for models/gemma-3-27b-it",
    "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "Only user and assistant roles are supported!",
    "Only user, assistant and tool roles are supported, got system.",
    'Jinja Exception: {"message": "System role not supported"}',
    'Error rendering prompt with jinja template: "System role not supported".',
    'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter.',
    "messages.0.role: Input should be 'user' or 'assistant'",
    "invalid role: system",
    "Invalid role in message 0; allowed: user, assistant",
    "First message must have role user",
    "First content should be with role 'user', got system",
    "Expected last role User or Tool but got system",
    "unknown role 'system'",
    "\u6a21\u578b\u4e0d\u652f\u6301\u7684 message role: system",
    "message role is 'system', not one of ['assistant', 'user']",
    "system prompts are disabled",
    "`system` messages are currently unavailable",
    "This model accepts only user messages",
    "Role 'system' is forbidden",
    "messages[0].role must be user",
    "first message must be from user",
    "'system' is not a valid role",
    "Invalid value: 'system'. Supported values are: 'user', 'assistant'",
    "System instruction is not supported for this model",
    "Template error: 'System role not supported'",
    "Expected 'user' role first",
    "Unknown role: system",
    "first message role must be 'user'",
    "system role is unavailable for gemma",
    "This model has no system role",
    "System prompt unsupported",
    "The system message is rejected by this model",
    "Roles must alternate between user and assistant",
    "the role system isn't supported",
    "Does not support role: system",
    "unsupported message role: SYSTEM",
    "Messages with role system can not be used",
]
TEMPERATURE_REFUSALS = [
    "`temperature` is deprecated for this model.",
    (
        "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) "
        "value is supported."
    ),
    "Unsupported parameter: 'temperature' is not supported with this model.",
    "Unrecognized request argument supplied: temperature",
    "`temperature` and `top_p` cannot both be specified for this model.",
    "temperature: range: 0..0.2",
    "invalid temperature: only 1 is allowed for this model",
    "temperature must be 1 when thinking is enabled",
    "litellm.UnsupportedParamsError: openai does not support parameters: ['temperature']",
    "Sampling parameters are not supported by this model",
    "This model only supports temperature=1",
    "Parameter 'temperature' may not be set",
    "Invalid value for temperature: must be 1",
    "The parameter temperature is not available",
    "temperature is fixed at 1.0 for this model",
    "Setting temperature is not allowed with reasoning",
    'Unknown name "temperature": Cannot find field.',
    "property 'temperature' is unsupported",
    "Custom temperature not permitted",
    "kimi: invalid temperature: only 0.6 is allowed for this model",
    "Unsupported option: temperature (maximum 0)",
    "temperature: Extra inputs are not permitted",
    "Argument not supported on this model: temperature",
    "temperature must be in range (0, 0.2]",
    "Model does not accept sampling parameters such as temperature, top_p",
]
LIMITS_TOO_HIGH = {
    "max_tokens is too large: 2000. This model supports at most 1024 completion tokens, whereas "
    "you provided 2000.": 1024,
    "max_tokens: 2000 > 1024, which is the maximum allowed number of output tokens for "
    "claude-3-5-sonnet-20241022": 1024,
    "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 1500]": 1500,
    "`max_tokens` must be less than or equal to `1,024`, the maximum value for `max_tokens` is "
    "less than the `context_window` for this model": 1024,
    "it has a maxOutputTokens value of 2000 but the supported range is from 1 to 1025": 1025,
    "Invalid max_tokens value, the valid range of max_tokens is [1, 1024]": 1024,
    "max_tokens is too high": 1000,
    "The model generates at most 512 output tokens": 512,
    "max_tokens (2000) exceeds the model's maximum output (1024)": 1024,
    "Requested 2000 output tokens, but the maximum is 1024": 1024,
    "max_completion_tokens must be <= 1024": 1024,
    "The maximum number of completion tokens for this model is 1024": 1024,
    "max_tokens cannot exceed 1024": 1024,
    "invalid max_tokens: expected value between 1 and 1024": 1024,
    "`max_tokens`: Number must be less than or equal to 1024": 1024,
    "max_tokens should be within [1, 1024]": 1024,
    "max_tokens must not be greater than 1024": 1024,
    "Invalid max_tokens: 2000": 1000,
    "max output tokens is 1024, got 2000": 1024,
    "max_tokens limit is 1024": 1024,
    "max_new_tokens must be <= 1024. Given: 2000": 1024,
}
LIMIT_REFUSALS = [
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead."
    ),
    "Unrecognized request argument supplied: max_tokens",
    "max_tokens is deprecated",
    "unknown field `max_tokens`",
    "'max_tokens' is not supported; use 'max_completion_tokens'",
    "Unsupported parameter: max_tokens",
    "max_tokens is not permitted",
    "Use max_completion_tokens instead of max_tokens",
    "unknown argument max_tokens",
    "Invalid parameter: max_tokens",
]
DECLINED: list[Any] = [
    {"code": "content_filter", "message": "The response was filtered"},
    {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
     "management policy.", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
    {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."},
    {"message": "Content Exists Risk", "type": "invalid_request_error"},
    {"message": "Output blocked by content filtering policy"},
    {"message": "The request was rejected because it was considered high risk"},
    {"code": "content_policy_violation", "message": "Your request was rejected by the system."},
    {"code": 403, "message": "The model requires moderation. Your input was flagged"},
    {"message": "Content violates usage guidelines."},
    {"status": "PROHIBITED_CONTENT", "message": "Blocked."},
    {"message": 'Your request was rejected as a result of our safety system'},
    {"message": 'The content was blocked'},
    {"message": 'This prompt violates our policy'},
    {"message": 'content_blocked'},
    {"message": 'Prompt was blocked due to safety'},
    {"message": 'Output data may contain inappropriate content.'},
    {"message": 'text contains sensitive information'},
    {"message": 'request blocked by content moderation'},
    {"message": 'The input was flagged by the moderation'},
    {"message": 'Invalid prompt: your prompt was flagged as potentially violating our usage policy.'},
    {"message": 'blocked: PROHIBITED_CONTENT'},
    {"message": 'The model refused this request'},
    {"message": 'contentFilter'},
]  # fmt: skip
