from __future__ import annotations

import json

import pytest

from gateway.errors import CODES, GatewayError
from gateway.serving.refusals import error_body, error_headers


@pytest.mark.parametrize("code", CODES)
def test_every_error_has_openais_shape(code: str) -> None:
    error = GatewayError(code, "what is wrong", param="model", detail="for the operator")
    assert json.loads(error_body(error)) == {
        "error": {"message": "what is wrong", "type": CODES[code].type, "param": "model", "code": code}
    }
    headers = dict(error_headers(error))
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-llmgateway-error-source"] == b"gateway"
    assert (headers.get(b"retry-after") == b"1") is (error.status == 503)
    assert (b"allow" in headers) is (error.status == 405)
