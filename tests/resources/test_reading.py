"""Files to resources: kinds, tenants, and all problems at once."""

# ruff: noqa: E501 -- problems are compared as the lines that operators see
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import Secret
from gateway.resources import ApiKey, Resources, SourceFile, read, reading
from gateway.resources.problems import PROBLEMS_SHOWN
from tests.resources.written import document, problems, read_text

ARTICLE = (Path(__file__).parent / "article.yaml").read_bytes()
KEYS = {"dashscope的API_KEY": "sk-dashscope", "Moonshot的API_KEY": "sk-moonshot"}


def read_files(files: dict[str, str]) -> Resources:
    """Read files by their paths below conf.d."""
    sources = [
        SourceFile(f"conf.d/{path}", path.rpartition("/")[0], text.encode()) for path, text in files.items()
    ]
    return read(sources, environment={}, read_file=lambda path: b"")


def namespaced(kind: str, namespace: str, spec: str = "host: a") -> str:
    return document(kind, spec).replace("name: a", f"name: a, namespace: {namespace}")


def test_the_article_as_printed() -> None:
    found = read_text(ARTICLE, environment=KEYS)
    assert [(problem.severity, problem.path) for problem in found.problems] == [("warning", "kind")] * 4
    assert str(found.problems[0]) == (
        "conf.d/x.yaml:3:1: kind: v1 ServiceAccount is not a resource of this gateway; the document is skipped"
    )
    qwen, moonshot = found.providers
    assert (qwen.name, qwen.host, qwen.path) == (
        "dashscope-qwen",
        "dashscope.aliyuncs.com",
        "/compatible-mode/v1/chat/completions",
    )
    assert qwen.default_config is not None
    assert (qwen.default_config.model, qwen.default_config.stream) == ("qwen-1.8b-chat", False)
    assert qwen.default_config.api_keys == (ApiKey("", Secret("sk-dashscope")),)
    assert qwen.route_configs["vip-route"].model == "qwen-turbo"
    assert moonshot.default_config is not None
    assert moonshot.default_config.api_keys == (ApiKey("", Secret("sk-moonshot")),)
    vip, demo = found.routes
    assert [rule.name for rule in vip.rules] == ["vip-route", None]
    assert vip.rules[0].matches[0].headers["user-type"].value == "subscriber"
    assert [(ref.provider_host, ref.weight) for ref in demo.rules[0].backend_refs] == [
        ("dashscope.aliyuncs.com", 50),
        ("api.moonshot.cn", 50),
    ]
    assert found.tenants == {"default"}


def test_the_article_without_its_keys() -> None:
    found = read_text(ARTICLE)
    assert [str(problem) for problem in found.problems if problem.severity == "error"] == [
        "conf.d/x.yaml:80:9: spec.configs.defaultConfig.openAIConfig.apiKey: "
        "the environment variable dashscope的API_KEY is not set",
        "conf.d/x.yaml:86:11: spec.configs.routeSpecificConfigs.vip-route.openAIConfig.apiKey: "
        "the environment variable dashscope的API_KEY is not set",
        "conf.d/x.yaml:100:9: spec.configs.defaultConfig.openAIConfig.apiKey: "
        "the environment variable Moonshot的API_KEY is not set",
    ]
    assert found.providers == ()
    assert {each.host for each in found.broken_providers} == {"dashscope.aliyuncs.com", "api.moonshot.cn"}


@pytest.mark.parametrize(
    "version", ["istio.alibabacloud.com/v1beta1", "istio.alibabacloud.com/v1", "llmgateway.dev/v1"]
)
def test_versions(version: str) -> None:
    text = document("LLMProvider", "host: a").replace("llmgateway.dev/v1", version)
    assert len(read_text(text).providers) == 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("apiVersion: istio.alibabacloud.com/v1alpha1\nkind: LLMRoute",
         ["1:1: apiVersion: must be istio.alibabacloud.com/v1beta1 or istio.alibabacloud.com/v1 or llmgateway.dev/v1 "
          'for LLMRoute, not "istio.alibabacloud.com/v1alpha1"']),
        ("apiVersion: istio.alibabacloud.com/v1\nkind: Gateway",
         ['1:1: apiVersion: must be llmgateway.dev/v1 for Gateway, not "istio.alibabacloud.com/v1"']),
        ("apiVersion: istio.alibabcloud.com/v1\nkind: LLMRoute",
         ['1:1: apiVersion: there is no LLMRoute in "istio.alibabcloud.com/v1"; did you mean "istio.alibabacloud.com"?']),
        ("apiVersion: v1\nkind: LLMRoute",
         ['1:1: apiVersion: there is no LLMRoute in "v1"; did you mean istio.alibabacloud.com/v1?']),
        ("apiVersion: llmgateway.dev/v1\nkind: LLMRuote",
         ['2:1: kind: there is no kind "LLMRuote"; did you mean "LLMRoute"?']),
        ("apiVersion: llmgateway.dev/v1\nkind: Service",
         ['2:1: kind: there is no kind "Service"; there are LLMProvider, LLMRoute, Gateway, Tenant']),
        ("apiVersion: istio.alibabacloud.com/v1\nkind: Tenant\nmetadata: {name: default}",
         ['1:1: apiVersion: must be llmgateway.dev/v1 for Tenant, not "istio.alibabacloud.com/v1"']),
        ("kind: LLMRoute", ["1:1: apiVersion: is missing: a document says what it is with apiVersion and kind"]),
        ("apiVersion: v1", ["1:1: kind: is missing: a document says what it is with apiVersion and kind"]),
        ("just text", ["1:1: a document must be a mapping with apiVersion, kind, metadata and spec"]),
        ("- a list", ["1:1: a document must be a mapping with apiVersion, kind, metadata and spec"]),
    ],
)  # fmt: skip
def test_documents_that_do_not_say_what_they_are(head: str, expected: list[str]) -> None:
    found = read_text(head)
    assert problems(head) == expected
    assert [problem.severity for problem in found.problems] == ["error"]
    assert found.tenants == {"default"}


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v1", "Service"),
        ("apps/v1", "Deployment"),
        ("networking.istio.io/v1", "Gateway"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("istio.alibabacloud.com/v1", "ASMLocalRateLimiter"),
        ("other.example/v1", "LLMProvider"),
    ],
)
def test_what_belongs_to_others_is_skipped_with_a_warning(version: str, kind: str) -> None:
    found = read_text(f"apiVersion: {version}\nkind: {kind}\nspec: {{any: thing}}")
    assert [problem.severity for problem in found.problems] == ["warning"]
    assert f"{version} {kind} is not a resource of this gateway" in found.problems[0].message


def test_what_kubernetes_adds_is_ignored() -> None:
    text = """
    apiVersion: istio.alibabacloud.com/v1beta1
    kind: LLMProvider
    metadata:
      name: a
      labels: {a: b}
      annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
      uid: 1b4e28ba
      resourceVersion: "1"
      generation: 2
      creationTimestamp: null
      managedFields: [{manager: kubectl}]
      finalizers: []
      ownerReferences: []
    spec: {host: a}
    status: {status: ok}
    """
    assert problems(text) == []


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("{}", "metadata.name: is missing"),
        ("{name: A}", 'metadata.name: must be a name in lower case: letters, digits, `-` and `.`, at most 253, not "A"'),
        ("{name: a, nmespace: b}", 'metadata.nmespace: there is no field "nmespace" here; did you mean "namespace"?'),
        ("{name: a, namespace: a/b}",
         "metadata.namespace: must be a tenant's name: letters, digits, `-`, `_` and `.`, at most 63, not \"a/b\""),
    ],
)  # fmt: skip
def test_metadata(metadata: str, expected: str) -> None:
    text = document("LLMProvider", "host: a").replace("{name: a}", metadata)
    (problem,) = problems(text)
    assert problem.partition(": ")[2] == expected


def test_whose_a_document_is() -> None:
    found = read_files(
        {
            "a.yaml": document("LLMProvider", "host: a"),
            "b.yaml": namespaced("LLMProvider", "acme"),
            "beta/c.yaml": document("LLMProvider", "host: a"),
            "beta/d.yaml": namespaced("LLMProvider", "beta"),
            "e.yaml": namespaced("LLMProvider", "istio-system"),
        }
    )
    assert found.problems == ()
    assert [provider.tenant for provider in found.providers] == [
        "default",
        "acme",
        "beta",
        "beta",
        "istio-system",
    ]
    assert found.tenants == {"default", "acme", "beta"}


def test_namespace_and_folder_must_agree() -> None:
    (problem,) = read_files({"beta/x.yaml": namespaced("LLMProvider", "acme")}).problems
    assert str(problem) == (
        'conf.d/beta/x.yaml:3:21: metadata.namespace: is "acme" in the folder of tenant "beta": the two must agree'
    )
    assert problem.tenant == "beta"


def test_a_route_of_the_root_namespace_would_belong_to_nobody() -> None:
    spec = "host: a\nrules: [{backendRefs: [{providerHost: a}]}]"
    (problem,) = read_files({"x.yaml": namespaced("LLMRoute", "istio-system", spec)}).problems
    assert problem.message.startswith("istio-system is no tenant, so this LLMRoute would belong to nobody")
    source = SourceFile("x", "istio-system", document("LLMRoute", spec).encode())
    assert not read([source], environment={}, read_file=lambda path: b"", root_namespace="mesh").problems


def test_a_folder_that_cannot_name_a_tenant() -> None:
    found = read_files({"a b/x.yaml": document("LLMProvider", "host: a")})
    assert found.problems[0].message.startswith('the folder "a b" is not a tenant\'s name')
    assert found.broken_files == {"conf.d/a b/x.yaml"}


def test_a_broken_file_counts_against_its_folder_and_keeps_what_is_sound() -> None:
    found = read_files({"acme/x.yaml": document("LLMProvider", "host: a") + "---\n["})
    assert [problem.tenant for problem in found.problems] == ["acme"]
    assert found.broken_files == {"conf.d/acme/x.yaml"}
    assert [provider.host for provider in found.providers] == ["a"]


def test_a_document_with_wrong_yaml_is_read_for_more_problems_and_not_used() -> None:
    text = namespaced("LLMProvider", "acme", "host: a\nhost: b\nretries: 1")
    found = read_text(text)
    assert [problem.message for problem in found.problems] == [
        '"host" is written twice; first in line 5',
        'there is no field "retries" here; there are host, path, workloadSelector, configs, endpoint, exportTo, timeouts, connectionPool, outlierDetection, healthCheck, prefill, pricing',
    ]
    assert {problem.tenant for problem in found.problems} == found.tenants == {"acme"}
    assert found.providers == ()


def test_a_refused_key_is_not_missed_as_well() -> None:
    assert problems(document("LLMRoute", "<<: *base\nrules: [{backendRefs: [{providerHost: a}]}]")) == [
        "5:3: merge keys (<<) are not read: write the fields out",
        "5:7: aliases are not read: write the value out",
    ]


def test_all_problems_of_all_files_in_order_whatever_the_order_of_files() -> None:
    files = {"b.yaml": "[", "a.yaml": document("LLMProvider", "hsot: a\nptah: /"), "acme/c.yaml": "- x"}
    found = [str(problem) for problem in read_files(files).problems]
    assert [line.split(": ")[0] for line in found] == [
        "conf.d/a.yaml:4:1",
        "conf.d/a.yaml:5:3",
        "conf.d/a.yaml:6:3",
        "conf.d/acme/c.yaml:1:1",
        "conf.d/b.yaml:2:1",
    ]
    assert [str(problem) for problem in read_files(dict(reversed(files.items()))).problems] == found


def test_the_order_of_files_decides_nothing() -> None:
    one, two = document("LLMProvider", "host: one"), document("LLMProvider", "host: two")
    for files in ({"a.yaml": one, "b.yaml": two}, {"b.yaml": two, "a.yaml": one}):
        assert [provider.host for provider in read_files(files).providers] == ["one", "two"]


def test_a_flood_of_problems_is_cut_but_no_tenant_and_no_severity_is_forgotten() -> None:
    many = "\n".join(f"field{number}: 1" for number in range(PROBLEMS_SHOWN * 3))
    text = document("LLMProvider", many) + "---\n" + namespaced("LLMProvider", "acme", "hots: a")
    found = read_text(text).problems
    assert sum(problem.tenant == "default" for problem in found) == PROBLEMS_SHOWN + 1
    assert sum(problem.tenant == "acme" for problem in found) == 2
    assert f"more than {PROBLEMS_SHOWN} errors" in " ".join(problem.message for problem in found)


class TestTooManyDocuments:
    """In all files together; who has few does not suffer from who has many."""

    ONE = document("LLMProvider", "host: a") + "---\n"
    MANY = ONE * 60

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "DOCUMENTS", 100)

    def test_the_largest_folder_is_left_out(self) -> None:
        found = read_files(
            {"aa/x.yaml": self.ONE, "big/x.yaml": self.MANY, "big/y.yaml": self.MANY, "c.yaml": self.ONE}
        )
        assert found.broken_files == {"conf.d/big/x.yaml", "conf.d/big/y.yaml"}
        (problem,) = found.problems
        assert problem.tenant == "big"
        assert str(problem) == (
            "conf.d/big/x.yaml:1:1: all files together hold more than 100 documents, and those of tenant big the most:"
            " none of them is used"
        )
        assert {provider.tenant for provider in found.providers} == {"aa", "default"}
        assert found.tenants == {"aa", "big", "default"}

    def test_as_many_folders_as_it_takes(self) -> None:
        found = read_files({"a/x.yaml": self.MANY, "b/x.yaml": self.ONE * 61, "c/x.yaml": self.MANY})
        assert found.broken_files == {"conf.d/a/x.yaml", "conf.d/b/x.yaml"}

    def test_in_conf_d_itself_everybody_is_told_who_stands_there(self) -> None:
        found = read_files({"x.yaml": self.MANY + self.MANY + namespaced("LLMProvider", "acme")})
        assert [problem.tenant for problem in found.problems] == ["acme", "default"]
        assert found.tenants == {"acme", "default"}

    def test_as_many_as_may_be(self) -> None:
        found = read_files({"a/x.yaml": self.MANY, "b/x.yaml": self.ONE * 40})
        assert not found.problems
        assert not found.broken_files


def test_files_named_by_secrets_are_told_even_when_they_cannot_be_read() -> None:
    spec = "host: a\nconfigs: {defaultConfig: {openAIConfig: {apiKey: '${file:/run/key}', model: m}}}"
    missing = read_text(document("LLMProvider", spec))
    assert missing.secret_files == {"/run/key"}
    present = read_text(document("LLMProvider", spec), files={"/run/key": b"sk-canary\n"})
    assert present.secret_files == {"/run/key"}
    assert present.providers[0].default_config is not None
    assert present.providers[0].default_config.api_keys == (ApiKey("", Secret("sk-canary")),)
    assert "canary" not in repr(present)


class TestReadings:
    """Of a file that has not changed the reading of last time is taken, and nothing is decoded."""

    FILES = [  # noqa: RUF012
        SourceFile("conf.d/a.yaml", "", document("LLMProvider", "host: a").encode()),
        SourceFile("conf.d/b.yaml", "", document("LLMProvider", "host: b\npath: '${P}'", "b").encode()),
    ]

    def read(
        self, files: list[SourceFile], last: Resources | None = None, *, path: str = "/x", root: str = "r"
    ) -> Resources:
        known = last.readings if last is not None else {}
        return read(
            files, environment={"P": path}, read_file=lambda path: b"", root_namespace=root, known=known
        )

    def test_nothing_has_changed(self) -> None:
        first = self.read(self.FILES)
        again = [SourceFile(each.path, each.folder, bytes(bytearray(each.content))) for each in self.FILES]
        second = self.read(again, first)
        assert [one is two for one, two in zip(first.providers, second.providers, strict=True)] == [True] * 2

    def test_one_file_has(self) -> None:
        first = self.read(self.FILES)
        changed = SourceFile("conf.d/a.yaml", "", b"# new\n" + self.FILES[0].content)
        second = self.read([changed, self.FILES[1]], first)
        assert second.providers[0] is not first.providers[0]
        assert second.providers[0].places.at("").line == 2
        assert second.providers[1] is first.providers[1]

    def test_what_it_uses_has(self) -> None:
        first = self.read(self.FILES)
        second = self.read(self.FILES, first, path="/y")
        assert [provider.path for provider in second.providers] == [None, "/y"]
        assert second.providers[0] is first.providers[0]

    def test_a_file_that_is_gone_is_forgotten(self) -> None:
        second = self.read(self.FILES[:1], self.read(self.FILES))
        assert second.readings.keys() == {"conf.d/a.yaml"}


CANARY = "sk-canary value\x07"


@pytest.mark.parametrize(
    "setting",
    [
        "path: '${C}'",
        "endpoint: {address: '${C}', tls: {caCertificates: '${C}'}}",
        "configs: {defaultConfig: {openAIConfig: {apiKey: '${C}', headers: {a: '${C}', b: 'x ${C}'}}}}",
        "configs: {defaultConfig: {openAIConfig: {parameters: {a: '${C}', b: ['${C}', no]}}}}",
    ],
)
def test_no_problem_shows_what_came_from_outside(setting: str) -> None:
    found = read_text(document("LLMProvider", f"host: a\n{setting}"), environment={"C": CANARY})
    assert found.problems
    assert "canary" not in repr(found)


def test_no_files_are_an_empty_gateway() -> None:
    assert read([], environment={}, read_file=lambda path: b"") == Resources()


@given(st.binary(max_size=300))
def test_any_bytes_are_read(content: bytes) -> None:
    read_text(content)


FIELDS = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "host",
        "name",
        "namespace",
        "rules",
        "backendRefs",
        "providerHost",
        "weight",
        "matches",
        "headers",
        "exact",
        "regex",
        "configs",
        "defaultConfig",
        "openAIConfig",
        "apiKey",
        "parameters",
        "endpoint",
        "tls",
        "mode",
        "timeouts",
        "idle",
        "limits",
        "exportTo",
        "path",
    ]
)
SCALARS = st.sampled_from(
    [
        "a",
        "1",
        "no",
        "~",
        "0s",
        "5s",
        "*",
        "/x",
        "${A}",
        "${file:/a}",
        "-1",
        "1e999",
        "(",
        "$${",
        "SIMPLE",
        "LLMRoute",
        "LLMProvider",
        "Gateway",
        "llmgateway.dev/v1",
        "v1",
    ]
) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS | st.integers() | st.none() | st.booleans() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=15,
)


@given(st.sampled_from(["LLMProvider", "LLMRoute", "Gateway"]), st.dictionaries(FIELDS, VALUES, max_size=5))
def test_any_document_is_read_or_has_problems(kind: str, spec: dict[str, object]) -> None:
    text = f"apiVersion: llmgateway.dev/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {json.dumps(spec, ensure_ascii=True)}\n"
    found = read_text(text)
    kept = len(found.providers) + len(found.routes) + (found.gateway is not None)
    errors = [problem for problem in found.problems if problem.severity == "error"]
    assert kept == (0 if errors else 1)
    for problem in found.problems:
        assert str(problem).isprintable()
