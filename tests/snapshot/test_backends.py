"""What a provider and a rule make together: the configuration laid over, the head's lines, the destination."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from gateway.messages import Destination, Secret, TlsSettings
from gateway.snapshot.backends import Backend
from tests.fakes.canary import BACKEND, CANARY
from tests.fakes.conf import adopt_conf, backend, provider, route, route_to, snapshot_of, told

VIP = "rules: [{name: vip, backendRefs: [{providerHost: a.example}]}]"
FILES = {"/ca.pem": b"the roots", "/cert.pem": b"our certificate", "/key.pem": b"our key"}


def of(default: str, specific: str = "", *, more: str = "", reference: str = "") -> Backend:
    """The backend of the rule `vip`.

    :param default: the fields of the default config.
    :param specific: those of the routeSpecificConfig of the rule.
    """
    configs = f"configs:\n  defaultConfig: {{{default}}}\n"
    if specific:
        configs += f"  routeSpecificConfigs: {{vip: {{{specific}}}}}\n"
    documents = provider("a", configs + more) + route(
        "demo", VIP.replace("a.example", "a.example" + reference)
    )
    return backend(snapshot_of(documents, read_file=FILES.__getitem__), "demo")


class TestConfig:
    def test_of_a_provider_without_any(self) -> None:
        plain = backend(snapshot_of(provider("a", "") + route_to("a")), "demo")
        assert plain.dialect.name == "openai"
        assert (plain.model, plain.stream, plain.keys[0].secret, plain.headers) == (None, None, None, ())
        assert plain.overrides_model
        assert plain.path == b"/v1/chat/completions"
        assert plain.secrets == ()

    def test_a_specific_one_is_laid_over_the_default_field_by_field(self) -> None:
        both = of(
            "openAIConfig: {model: small, stream: true, apiKey: sk-1, parameters: {top_p: 1, n: 2}}",
            "openAIConfig: {model: large, parameters: {top_p: 0.5}}",
        )
        assert (both.model, both.stream, both.keys[0].secret) == ("large", True, Secret("sk-1"))
        assert both.parameters == (("top_p", b"0.5"),)

    def test_false_is_something_written(self) -> None:
        assert of("openAIConfig: {stream: true}", "openAIConfig: {stream: false}").stream is False

    def test_a_different_dialect_replaces_the_default(self) -> None:
        other = of("openAIConfig: {model: small, apiKey: sk-1}", "simulatorConfig: {stream: true}")
        assert (other.model, other.stream, other.keys[0].secret) == (None, True, None)
        assert other.destination.in_process

    def test_the_model_of_a_backend_ref_comes_first(self) -> None:
        most = of("openAIConfig: {model: x}", "openAIConfig: {model: y}", reference=", model: z")
        assert (most.model, most.key, most.labels.model) == ("z", "a.example/z", "z")

    @pytest.mark.parametrize(("policy", "overrides"), [("", True), ("override", True), ("default", False)])
    def test_the_model_policy(self, policy: str, overrides: bool) -> None:
        written = f", modelPolicy: {policy}" if policy else ""
        assert of(f"openAIConfig: {{model: x{written}}}").overrides_model is overrides

    def test_a_model_of_the_backend_ref_overrides_whatever_the_policy_is(self) -> None:
        spec = "configs: {defaultConfig: {openAIConfig: {model: x, modelPolicy: default}}}"
        rules = "rules: [{backendRefs: [{providerHost: a.example, model: asked}]}]"
        chosen = backend(snapshot_of(provider("a", spec) + route("demo", rules)), "demo")
        assert (chosen.model, chosen.overrides_model) == ("asked", True)

    def test_a_specific_one_is_for_the_owners_rules_alone(self) -> None:
        shared = provider(
            "a",
            """
            exportTo: ["*"]
            configs:
              defaultConfig: {openAIConfig: {model: small}}
              routeSpecificConfigs: {vip: {openAIConfig: {model: large}}}
            """,
            namespace="acme",
        )
        snapshot = snapshot_of(
            shared + route("one", VIP, namespace="acme") + route("two", VIP, namespace="other")
        )
        assert backend(snapshot, "one", tenant="acme").model == "large"
        assert backend(snapshot, "two", tenant="other").model == "small"

    def test_the_parameters_from_outside_are_known(self) -> None:
        hidden = snapshot_of(
            provider(
                "a",
                """
                configs:
                  defaultConfig: {openAIConfig: {parameters: {user: "${WHO}", n: 1}}}
                  routeSpecificConfigs:
                    vip: {openAIConfig: {model: x}}
                    bare: {openAIConfig: {parameters: {n: 2}}}
                """,
            )
            + route("demo", VIP)
            + route("bare", VIP.replace("vip", "bare")),
            environment={"WHO": "me"},
        )
        assert backend(hidden, "demo").hidden_parameters == {"user"}
        assert backend(hidden, "bare").hidden_parameters == frozenset()


class TestHead:
    """What every request to a provider begins with."""

    def test_host_authentication_and_headers(self) -> None:
        most = of("openAIConfig: {apiKey: sk-1, headers: {X-Team: red, api-version: '2024'}}")
        assert most.head_lines == (
            b"host: a.example\r\nauthorization: Bearer sk-1\r\nx-team: red\r\napi-version: 2024\r\n"
        )
        assert most.header_names == {b"authorization", b"x-team", b"api-version"}
        assert most.header_names_beside_json == most.header_names | {b"content-type"}

    def test_a_host_rewrite_changes_the_host_header_alone(self) -> None:
        rewritten = of("openAIConfig: {}", reference=", hostRewrite: other.example")
        assert (rewritten.authority, rewritten.head_lines) == ("other.example", b"host: other.example\r\n")
        assert rewritten.destination.address == "a.example"
        assert rewritten.destination.tls == TlsSettings(server_name="a.example", names=("a.example",))

    def test_an_ipv6_address_is_bracketed(self) -> None:
        six = backend(snapshot_of(provider("a", "", host='"::1"')), "::1")
        assert six.head_lines == b"host: [::1]\r\n"
        assert six.destination.address == "::1"

    def test_what_must_not_reach_a_client(self) -> None:
        most = of(
            "openAIConfig: {apiKey: sk-12345, headers: {x-token: '123456789012', x-version: '12345678901'}}"
        )
        assert most.secrets == (b"123456789012", b"sk-12345")

    def test_however_a_provider_spells_it(self) -> None:
        most = of("""openAIConfig: {apiKey: 'sk+123/"=x'}""")
        assert set(most.secrets) >= {
            b'sk+123/"=x',
            b'sk+123/\\"=x',
            b'sk+123\\/\\"=x',
            b'sk+123/\\\\\\"=x',
            b'sk+123/\\"\\u003dx',
            b"sk\\u002B123/\\u0022=x",
            b"sk%2B123%2F%22%3Dx",
            b"sk%2b123%2f%22%3dx",
            b"sk%2B123/%22%3Dx",
        }

    def test_an_ordinary_key_is_looked_for_once(self) -> None:
        assert of("openAIConfig: {apiKey: sk-proj_AbC-123456.x~y}").secrets == (b"sk-proj_AbC-123456.x~y",)

    def test_a_key_that_is_no_secret(self) -> None:
        """Local servers want some word; it may stand in `text/event-stream` as well."""
        assert of("openAIConfig: {apiKey: x}").secrets == ()

    def test_nothing_secret_is_in_a_repr(self) -> None:
        assert "sk-canary" not in repr(of("openAIConfig: {apiKey: sk-canary-123456}"))


class TestDestination:
    """Where to connect, and who may be believed to answer there."""

    @pytest.mark.parametrize(
        ("endpoint", "address", "port"),
        [
            ("", "a.example", 443),
            ("endpoint: {address: 10.0.0.1}", "10.0.0.1", 443),
            ("endpoint: {port: 8443}", "a.example", 8443),
            ("endpoint: {tls: {mode: DISABLE}}", "a.example", 80),
            ("endpoint: {port: 8080, tls: {mode: DISABLE}}", "a.example", 8080),
        ],
    )
    def test_address_and_port(self, endpoint: str, address: str, port: int) -> None:
        destination = of("openAIConfig: {}", more=endpoint).destination
        assert (destination.owner, destination.address, destination.port) == ("default", address, port)
        assert (destination.tls is None) == ("DISABLE" in endpoint)

    def test_the_simulator_of_this_process(self) -> None:
        inside = of("simulatorConfig: {}").destination
        assert inside == Destination(
            owner="default", provider="a", address="simulator", port=0, tls=None, in_process=True
        )

    def test_a_simulator_elsewhere(self) -> None:
        elsewhere = of("simulatorConfig: {}", more="endpoint: {port: 9000, tls: {mode: DISABLE}}").destination
        assert (elsewhere.in_process, str(elsewhere)) == (False, "a.example:9000")

    @pytest.mark.parametrize("host", ["10.0.0.1", "::1"])
    def test_no_server_name_is_sent_for_an_address(self, host: str) -> None:
        tls = backend(snapshot_of(provider("a", "", host=f'"{host}"')), host).destination.tls
        assert tls == TlsSettings(server_name=None, names=(host,))

    def test_server_name_and_names_as_written(self) -> None:
        tls = of(
            "openAIConfig: {}",
            more="endpoint: {tls: {sni: s.example, subjectAltNames: [x.example, 'spiffe://a/b'], minVersion: '1.3'}}",
        ).destination.tls
        assert tls == TlsSettings("s.example", ("x.example", "spiffe://a/b"), min_version="1.3")

    def test_certificates_are_held_by_content(self) -> None:
        mutual = "{mode: MUTUAL, caCertificates: /ca.pem, clientCertificate: /cert.pem, privateKey: /key.pem}"
        tls = of("openAIConfig: {}", more=f"endpoint: {{tls: {mutual}}}").destination.tls
        assert tls == TlsSettings(
            "a.example", ("a.example",), b"the roots", b"our certificate", Secret("our key")
        )

    def test_a_changed_certificate_is_another_destination(self) -> None:
        documents = provider("a", "endpoint: {tls: {caCertificates: /ca.pem}}")

        def destination(content: bytes) -> Destination:
            return backend(snapshot_of(documents, read_file=lambda path: content), "a.example").destination

        assert destination(b"x") == destination(b"x")
        assert destination(b"x") != destination(b"y")


class TestUnusableFiles:
    """A certificate that cannot be used is a problem at its field, not a surprise at the first request."""

    TLS = "endpoint:\n  tls:\n    caCertificates: /ca.pem\n"

    def problems(
        self,
        tls: str = TLS,
        *,
        read_file: Callable[[str], bytes] = FILES.__getitem__,
        prepare_tls: Callable[[TlsSettings], None] = lambda settings: None,
    ) -> list[str]:
        generation = adopt_conf(
            provider("a", tls) + route_to("a"), read_file=read_file, prepare_tls=prepare_tls
        )
        assert generation.missing == {"default"}
        return told(generation)

    def test_one_that_cannot_be_read(self) -> None:
        def denied(path: str) -> bytes:
            raise PermissionError(13, "Permission denied", path)

        assert self.problems(read_file=denied) == [
            "conf.d/conf.yaml:9:7: spec.endpoint.tls.caCertificates: /ca.pem cannot be read: Permission denied"
        ]

    @pytest.mark.parametrize("name", ["caCertificates", "clientCertificate", "privateKey"])
    def test_each_at_its_own_field(self, name: str) -> None:
        files = {"caCertificates": "/ca.pem", "clientCertificate": "/cert.pem", "privateKey": "/key.pem"}

        def read_file(path: str) -> bytes:
            if path == files[name]:
                raise FileNotFoundError(2, "No such file or directory", path)
            return b""

        fields = "".join(f"    {field}: {path}\n" for field, path in files.items())
        (problem,) = self.problems(f"endpoint:\n  tls:\n    mode: MUTUAL\n{fields}", read_file=read_file)
        assert problem.endswith(
            f"spec.endpoint.tls.{name}: {files[name]} cannot be read: No such file or directory"
        )

    def test_one_that_openssl_refuses(self) -> None:
        def refuse(settings: TlsSettings) -> None:
            raise ValueError("caCertificates holds no certificate")

        assert self.problems(prepare_tls=refuse) == [
            "conf.d/conf.yaml:8:5: spec.endpoint.tls: caCertificates holds no certificate"
        ]

    def test_a_context_is_prepared_once_for_each_provider(self) -> None:
        prepared: list[TlsSettings] = []
        rules = """
            rules:
            - {matches: [{headers: {x: {}}}], backendRefs: [{providerHost: a.example}]}
            - {backendRefs: [{providerHost: a.example}]}
            """
        documents = provider("a", self.TLS) + route("demo", rules)
        snapshot_of(documents, read_file=FILES.__getitem__, prepare_tls=prepared.append)
        (settings,) = set(prepared)
        assert settings.ca_certificates == b"the roots"


def test_labels_are_those_of_the_route_and_the_provider() -> None:
    labels = of("openAIConfig: {model: m}").labels
    assert (labels.tenant, labels.route, labels.rule, labels.provider, labels.model) == (
        "default", "demo", "vip", "a", "m",
    )  # fmt: skip
    assert of("openAIConfig: {}").labels.model == ""


def test_environment_and_files_fill_in_the_key() -> None:
    config = "configs: {defaultConfig: {openAIConfig: {apiKey: '${KEY}', headers: {x-more: '${file:/key}'}}}}"
    files: Mapping[str, bytes] = {"/key": b"from-the-file\n"}
    filled = backend(
        snapshot_of(provider("a", config), environment={"KEY": "sk-1"}, read_file=files.__getitem__),
        "a.example",
    )
    assert filled.keys[0].secret == Secret("sk-1")
    assert b"x-more: from-the-file\r\n" in filled.head_lines


def test_secrets_of_a_backend_are_not_in_its_repr() -> None:
    assert CANARY not in repr(BACKEND.headers)
    assert CANARY not in repr(BACKEND.keys)
