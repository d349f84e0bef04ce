"""Names the `llmgateway` subcommand of twistd; the module is a string, so listing plugins loads nothing of ours."""

from twisted.application.service import ServiceMaker

llmgateway = ServiceMaker(
    "llmgateway",
    "gateway.tap",
    "A multi-tenant egress gateway for LLM traffic.",
    "llmgateway",
)
