"""OpenAI's Python SDK through the gateway: its own parsers and exceptions are the judges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from openai.types.chat import ChatCompletionChunk, ChatCompletionUserMessageParam

from tests.whole.providers import Conversation, Provider, answer, chunk, stream_head
from tests.whole.running import PATIENCE, Gateway

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hello"}]
REPLY = "I am first-small. You said: Hello"
"""What the simulator answers."""
INPUT, OUTPUT = 2, 9
"""The tokens that it counts."""

EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
)


def client_of(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-of-the-client", max_retries=0, timeout=PATIENCE)


@pytest.fixture
def client(demo: Gateway) -> Iterator[OpenAI]:
    with client_of(demo) as client:
        yield client


def named(request_id: str, drill: str = "") -> dict[str, str]:
    """The headers of a request that the access log is asked about afterwards.

    :param drill: what the simulator is asked to do wrong.
    """
    return {"x-request-id": request_id, **({"x-simulate": drill} if drill else {})}


def words(chunks: list[ChatCompletionChunk]) -> str:
    """What a stream said."""
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_chat(demo: Gateway, client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-of-the-client", messages=HELLO, extra_headers=named("chat")
    )
    completion = raw.parse()
    assert completion.choices[0].message.content == REPLY
    assert completion.model == "first-small"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (INPUT, OUTPUT)
    assert raw.headers["x-request-id"] == "chat"
    assert raw.headers["x-simulator-authorization"] == "absent"

    exchange = demo.exchange("chat")
    assert (exchange["code"], exchange["outcome"]) == (200, "ok")
    assert (exchange["asked_model"], exchange["request_model"]) == ("gpt-of-the-client", "first-small")
    assert (exchange["request_prompt_tokens"], exchange["request_completion_tokens"]) == (INPUT, OUTPUT)


def test_a_rule_of_the_route_chooses_the_model(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="any", messages=HELLO, extra_headers={"user-type": "subscriber"}
    )
    assert completion.model == "first-large"


def test_async(demo: Gateway) -> None:
    async def ask() -> list[str | None]:
        async with AsyncOpenAI(base_url=f"{demo.url}/v1", api_key="sk", max_retries=0) as client:
            completions = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="any", messages=[{"role": "user", "content": f"{number}"}]
                    )
                    for number in range(10)
                )
            )
            return [completion.choices[0].message.content for completion in completions]

    assert asyncio.run(ask()) == [f"I am first-small. You said: {number}" for number in range(10)]


def test_async_stream(demo: Gateway) -> None:
    async def ask() -> list[ChatCompletionChunk]:
        async with AsyncOpenAI(base_url=f"{demo.url}/v1", api_key="sk", max_retries=0) as client:
            stream = await client.chat.completions.create(model="any", messages=HELLO, stream=True)
            return [chunk async for chunk in stream]

    assert words(asyncio.run(ask())) == REPLY


def test_a_stream_is_whole_and_its_tokens_are_counted_though_nobody_asked(
    demo: Gateway, client: OpenAI
) -> None:
    before = demo.count("llmgateway_tokens_total", type="output")
    stream = client.chat.completions.create(
        model="any", messages=HELLO, stream=True, extra_headers=named("unasked")
    )
    chunks = list(stream)
    assert words(chunks) == REPLY
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"

    exchange = demo.exchange("unasked")
    assert (exchange["code"], exchange["outcome"], exchange["stream"]) == (200, "ok", True)
    assert (exchange["request_prompt_tokens"], exchange["request_completion_tokens"]) == (INPUT, OUTPUT)
    assert demo.count("llmgateway_tokens_total", type="output") == before + OUTPUT


def test_a_stream_tells_its_usage_to_who_asks(demo: Gateway, client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="any",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=named("asked"),
    )
    *chunks, last = stream
    assert words(chunks) == REPLY
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (INPUT, OUTPUT)
    assert demo.exchange("asked")["request_completion_tokens"] == OUTPUT


def test_a_stream_arrives_word_by_word(client: OpenAI) -> None:
    """The first words are here while the provider still holds back the rest."""
    stream = client.chat.completions.create(
        model="any", messages=HELLO, stream=True, extra_headers={"x-simulate": "stall-after=2"}
    )
    with stream:
        said = ""
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            if said == "I am ":
                break
    assert said == "I am "


def test_an_aborted_stream_is_counted_as_such(demo: Gateway, client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="any",
        messages=HELLO,
        stream=True,
        extra_headers=named("aborted", "words=100000000, chunks=100000000"),
    )
    with stream:
        next(iter(stream))
    exchange = demo.exchange("aborted")
    assert (exchange["code"], exchange["outcome"]) == (499, "client_left")
    assert demo.count("llmgateway_requests_total", code="499", outcome="client_left") >= 1
    assert demo.count("llmgateway_requests_in_flight") == 0


@pytest.mark.parametrize("silent", [True, False], ids=["while it is silent", "while it speaks"])
def test_an_aborted_stream_ends_the_request_to_the_provider_at_once(silent: bool, tmp_path: Path) -> None:
    noticed: list[bool] = []

    def stream(conversation: Conversation) -> None:
        conversation.send(stream_head() + chunk(EVENT))
        if silent:
            noticed.append(conversation.wait_until_left())
            return
        try:
            while True:
                conversation.send(chunk(EVENT))
        except TimeoutError:
            noticed.append(False)
        except OSError:
            noticed.append(True)

    with (
        Provider(stream) as provider,
        Gateway(tmp_path, {"a.yaml": provider.manifest()}) as gateway,
        client_of(gateway) as client,
    ):
        with client.chat.completions.create(model="m", messages=HELLO, stream=True) as chunks:
            assert next(iter(chunks)).choices[0].delta.content == "word "
        provider.wait_until(lambda: provider.finished == 1)
    assert noticed == [True]


def test_who_closes_after_done_has_not_left_early(tmp_path: Path) -> None:
    """The SDK closes its connection at `[DONE]`, before the last chunk is here."""

    def stream(conversation: Conversation) -> None:
        conversation.send(stream_head() + chunk(EVENT) + chunk(b"data: [DONE]\n\n"))

    with (
        Provider(stream) as provider,
        Gateway(tmp_path, {"a.yaml": provider.manifest()}, "--access-log=-") as gateway,
        client_of(gateway) as client,
    ):
        chunks = client.chat.completions.create(
            model="m", messages=HELLO, stream=True, extra_headers=named("done")
        )
        assert words(list(chunks)) == "word "
        exchange = gateway.exchange("done")
    assert (exchange["code"], exchange["outcome"]) == (200, "ok")


def test_a_stream_that_breaks_raises(demo: Gateway, client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="any", messages=HELLO, stream=True, extra_headers=named("broken", "cut-after=3")
    )
    said: list[str | None] = []
    with pytest.raises(APIError, match="ended before it was whole") as raised:
        said.extend(chunk.choices[0].delta.content for chunk in stream)
    assert said == ["", "I ", "am ", "first-small. "]
    assert raised.value.code == "provider_answer_cut"
    exchange = demo.exchange("broken")
    assert (exchange["code"], exchange["outcome"]) == (200, "answer_cut")


@pytest.mark.parametrize(
    ("drill", "raises", "source", "retry_after"),
    [
        ("status=400", BadRequestError, "provider", None),
        ("status=401", AuthenticationError, "provider", None),
        ("status=404", NotFoundError, "provider", None),
        ("status=429, retry-after=7", RateLimitError, "provider", "7"),
        ("status=503", InternalServerError, "provider", None),
        ("reset", InternalServerError, "gateway", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_provider_does_wrong_is_the_exception_that_the_sdk_has_for_it(
    drill: str,
    raises: type[APIStatusError],
    source: str,
    retry_after: str | None,
    stream: bool,
    client: OpenAI,
) -> None:
    with pytest.raises(raises) as raised:
        client.chat.completions.create(
            model="any", messages=HELLO, stream=stream, extra_headers={"x-simulate": drill}
        )
    headers = raised.value.response.headers
    assert headers["x-llmgateway-error-source"] == source
    assert headers.get("retry-after") == retry_after
    assert raised.value.request_id


@pytest.mark.parametrize(
    ("call", "raises", "code"),
    [
        (lambda client: client.files.list(), NotFoundError, "no_route"),
        (lambda client: client.models.retrieve("unheard-of"), NotFoundError, "no_route"),
        (
            lambda client: client.chat.completions.create(model="m", messages="Hello"),
            BadRequestError,
            None,
        ),
        (
            lambda client: client.post("/chat/completions", cast_to=object, content=b'{"messages": ['),
            BadRequestError,
            "invalid_body",
        ),
        (
            lambda client: client.post(
                "/chat/completions", cast_to=object, content=b'{"messages": [], "model": "a", "model": "b"}'
            ),
            BadRequestError,
            "invalid_body",
        ),
    ],
    ids=["path", "model", "messages", "not JSON", "named twice"],
)
def test_what_the_client_does_wrong_is_the_exception_that_the_sdk_has_for_it(
    call: Callable[[OpenAI], object], raises: type[APIStatusError], code: str | None, client: OpenAI
) -> None:
    with pytest.raises(raises) as raised:
        call(client)
    assert raised.value.code == code
    assert raised.value.type in {"invalid_request_error", "not_found_error"}


def test_an_unknown_host_is_not_found(tmp_path: Path) -> None:
    with (
        Gateway(tmp_path, {}) as gateway,
        client_of(gateway) as client,
        pytest.raises(NotFoundError) as raised,
    ):
        client.chat.completions.create(model="m", messages=HELLO)
    assert raised.value.code == "no_route"
    assert raised.value.response.headers["x-llmgateway-error-source"] == "gateway"


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["first-large", "first-small"]
    assert client.models.retrieve("first-small").id == "first-small"


def test_completions(demo: Gateway, client: OpenAI) -> None:
    completion = client.completions.create(model="any", prompt="Hello", extra_headers=named("completion"))
    assert completion.choices[0].text == REPLY
    chunks = client.completions.create(model="any", prompt="Hello", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == REPLY
    assert demo.exchange("completion")["request_completion_tokens"] == OUTPUT


def test_embeddings(demo: Gateway, client: OpenAI) -> None:
    """The SDK asks for base64 and decodes it."""
    made = client.embeddings.create(
        model="any", input=["one", "two"], dimensions=8, extra_headers=named("embedding")
    )
    assert [len(each.embedding) for each in made.data] == [8, 8]
    assert made.data[0].embedding != made.data[1].embedding
    exchange = demo.exchange("embedding")
    assert (exchange["request_prompt_tokens"], exchange["request_completion_tokens"]) == (2, 0)


RESPONSE = (
    '{"id":"resp_1","object":"response","created_at":1,"model":"m","status":"completed","output":'
    '[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":'
    '[{"type":"output_text","text":"Hello yourself","annotations":[]}]}],"parallel_tool_calls":true,'
    '"tool_choice":"auto","tools":[],"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},'
    '"output_tokens":5,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":8}}'
)
RESPONSE_EVENTS = (
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":0,'
    '"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hello yourself","logprobs":[]}\n\n'
    'event: response.completed\ndata: {"type":"response.completed","sequence_number":1,"response":'
    f"{RESPONSE}}}\n\n"
)


def test_responses(tmp_path: Path) -> None:
    def respond(conversation: Conversation) -> None:
        if b'"stream":true' in conversation.request.body:
            conversation.send(stream_head() + chunk(RESPONSE_EVENTS.encode()) + chunk(b""))
        else:
            conversation.send(answer(RESPONSE))

    conf = {"a.yaml": (provider := Provider(respond)).manifest(model="m", key="${KEY}")}
    environment = {"KEY": "sk-of-the-operator"}
    with (
        provider,
        Gateway(tmp_path, conf, "--access-log=-", environment=environment) as gateway,
        client_of(gateway) as client,
    ):
        response = client.responses.create(model="any", input="Hello", extra_headers=named("whole"))
        stream = client.responses.create(
            model="any", input="Hello", stream=True, extra_headers=named("streamed")
        )
        events = list(stream)
        exchanges = [gateway.exchange("whole"), gateway.exchange("streamed")]
    assert response.output_text == "Hello yourself"
    assert [event.type for event in events] == ["response.output_text.delta", "response.completed"]
    for request in provider.requests:
        assert request.target == "/v1/responses"
        assert request.header("Authorization") == "Bearer sk-of-the-operator"
    assert [json.loads(request.body) for request in provider.requests] == [
        {"model": "m", "input": "Hello"},
        {"model": "m", "input": "Hello", "stream": True},
    ]
    for exchange in exchanges:
        assert (exchange["code"], exchange["outcome"]) == (200, "ok")
        assert (exchange["request_prompt_tokens"], exchange["request_completion_tokens"]) == (3, 5)
