"""The Tenant document: who is asking."""

from __future__ import annotations

import pytest

from gateway.resources import Client, KeyHash, Tenant
from gateway.resources.tenant import ways_in
from tests.resources.written import document, read_text, spec_problems

A, B = "a" * 64, "b" * 64
PLAIN = "sk-plain-key-of-somebody"

NO_HASH = "must be `sha256:` and 64 hexadecimal digits, which `llmgateway hash-key` makes of a key"

SPECS = [
    ("{}", []),
    ("clients: []", []),
    ("limits: {}", ["1:3: limits: limits is not built yet in this version"]),
    (
        "clients: [{name: a}]",
        ["1:13: clients[0]: is known by nothing: write apiKeyHash, apiKeyHashes, certificate or sourceCIDRs"],
    ),
    (f"clients: [{{apiKeyHash: 'sha256:{A}'}}]", ["1:13: clients[0].name: is missing"]),
    (
        f"clients: [{{name: a, apiKeyHash: {PLAIN}}}]",
        [f"1:23: clients[0].apiKeyHash: {NO_HASH}"],
    ),
    (
        f"clients: [{{name: a, apiKeyHash: '{A}'}}]",
        [f"1:23: clients[0].apiKeyHash: {NO_HASH}"],
    ),
    (
        f"clients: [{{name: a, apiKeyHash: 'sha256:{A}0'}}]",
        [f"1:23: clients[0].apiKeyHash: {NO_HASH}"],
    ),
    (
        f"clients: [{{name: a, apiKeyHashes: [{PLAIN}, {{hash: {PLAIN}}}]}}]",
        [
            "1:38: clients[0].apiKeyHashes[0]: must be a mapping, not a single value",
            f"1:65: clients[0].apiKeyHashes[1].hash: {NO_HASH}",
        ],
    ),
    (
        f"clients: [{{name: a, apiKey: {PLAIN}}}]",
        [
            "1:23: clients[0].apiKey: a key itself is not written here, only its hash: `llmgateway hash-key` makes it, "
            "for apiKeyHash"
        ],
    ),
    (
        f"clients: [{{name: a, apiKeyHash: 'sha256:{A}', apiKeyHashes: [{{hash: 'sha256:{B}'}}]}}]",
        ["1:110: clients[0].apiKeyHashes: stands beside apiKeyHash: of several keys all are written here"],
    ),
    (
        f"clients: [{{name: a, apiKeyHashes: [{{hash: 'sha256:{A}', notAfter: 2027-01-31}}]}}]",
        [
            "1:120: clients[0].apiKeyHashes[0].notAfter: must be a date and time with its offset from UTC (RFC 3339), "
            'such as 2027-01-31T00:00:00Z, not "2027-01-31"'
        ],
    ),
    (
        "clients: [{name: a, sourceCIDRs: [10.1.2.3/16, 10.0.0.0/33, example.com, '::/0']}]",
        [
            "1:37: clients[0].sourceCIDRs[0]: must have no bits beyond its prefix, as in 10.1.0.0/16, not "
            '"10.1.2.3/16"',
            "1:50: clients[0].sourceCIDRs[1]: must be an IPv4 or IPv6 network, such as 10.1.0.0/16, or a single "
            'address, not "10.0.0.0/33"',
            "1:63: clients[0].sourceCIDRs[2]: must be an IPv4 or IPv6 network, such as 10.1.0.0/16, or a single "
            'address, not "example.com"',
        ],
    ),
    ("clients: [{name: a, sourceCIDRs: []}]", ["1:23: clients[0].sourceCIDRs: must not be an empty list"]),
    (
        'clients: [{name: a, certificate: {subjectAltName: "*.corp"}}]',
        [
            "1:37: clients[0].certificate.subjectAltName: must be a DNS name without wildcard, a URI, an e-mail "
            'address or an IP address, as it stands in the certificate, not "*.corp"'
        ],
    ),
    ("clients: [{name: a, certificate: {}}]", ["1:23: clients[0].certificate.subjectAltName: is missing"]),
    (
        "clients: [{name: a, sourceCIDRs: [10.0.0.1]}, {name: a, sourceCIDRs: [10.0.0.2]}]",
        ["1:50: clients[1].name: is the name of clients[0] too"],
    ),
    (
        f"""\
clients:
- {{name: a, apiKeyHash: "sha256:{A}"}}
- {{name: b, apiKeyHashes: [{{hash: "SHA256:{A.upper()}"}}]}}
""",
        [
            "3:31: clients[1].apiKeyHashes[0].hash: is the key of clients[0].apiKeyHash too; it can tell one client "
            "only"
        ],
    ),
    (
        """\
clients:
- {name: a, certificate: {subjectAltName: Batch.Corp}}
- {name: b, certificate: {subjectAltName: batch.corp.}}
- {name: c, sourceCIDRs: [10.0.0.0/8, "::ffff:10.0.0.0/104"]}
""",
        [
            "3:29: clients[1].certificate.subjectAltName: is the certificate of clients[0].certificate.subjectAltName "
            "too; it can tell one client only",
            "4:41: clients[2].sourceCIDRs[1]: is the network of clients[2].sourceCIDRs[0] too; it can tell one client "
            "only",
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), SPECS)
def test_problems(spec: str, expected: list[str]) -> None:
    found = spec_problems("Tenant", spec)
    assert found == expected
    assert PLAIN not in "".join(found)


def tenant(spec: str) -> Tenant:
    resources = read_text(document("Tenant", spec))
    assert resources.problems == ()
    (only,) = resources.tenant_documents
    return only


def test_everything_it_can_say() -> None:
    found = tenant(
        f"""
        clients:
        - name: ci
          apiKeyHash: sha256:{A.upper()}
          labels: {{app: web, team: ""}}
        - name: rotating
          apiKeyHashes: [{{hash: "sha256:{B}", notAfter: 2027-01-31T00:00:00Z}}, {{hash: "SHA256:{"c" * 64}"}}]
        - name: batch
          certificate: {{subjectAltName: "spiffe://corp/Batch"}}
        - name: office
          sourceCIDRs: [10.1.0.0/16, 192.0.2.7, "2001:DB8:0::/32", "::ffff:172.16.0.0/108", 0.0.0.0/0]
        """
    )
    assert found.name == "a"
    assert found.clients == (
        Client("ci", keys=(KeyHash(A),), labels={"app": "web", "team": ""}),
        Client(
            "rotating",
            keys=(
                KeyHash(B, 1801353600.0, "apiKeyHashes[0].hash"),
                KeyHash("c" * 64, None, "apiKeyHashes[1].hash"),
            ),
        ),
        Client("batch", certificates=("spiffe://corp/Batch",)),
        Client(
            "office",
            networks=("10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32", "172.16.0.0/12", "0.0.0.0/0"),
        ),
    )


def test_every_way_in_has_its_place() -> None:
    found = tenant(
        f"""
        clients:
        - {{name: a, apiKeyHash: "sha256:{A}", certificate: {{subjectAltName: x}}, sourceCIDRs: [10.0.0.1, 10.0.0.2]}}
        - {{name: b, apiKeyHashes: [{{hash: "sha256:{B}"}}]}}
        """
    )
    assert found.clients is not None
    places = [(kind, value, found.places.at(f"spec.{path}")) for kind, value, path in ways_in(found.clients)]
    assert [(kind, value[:8], place.line, place.column) for kind, value, place in places] == [
        ("key", A[:8], 6, 15),
        ("certificate", "x", 6, 116),
        ("network", "10.0.0.1", 6, 150),
        ("network", "10.0.0.2", 6, 160),
        ("key", B[:8], 7, 31),
    ]


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("Batch.Corp.", "batch.corp"),
        ("spiffe://corp/Batch", "spiffe://corp/Batch"),
        ("urn:uuid:F00", "urn:uuid:F00"),
        ("First.Last@Corp.Example", "First.Last@corp.example"),
        ("010.0.0.1", None),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[::1]", None),
        ("::1::", None),
        ("a b", None),
        ("x:443", "x:443"),
        ("a@b@c", None),
        ("", None),
    ],
)
def test_the_names_of_a_certificate(written: str, spelled: str | None) -> None:
    spec = f'clients: [{{name: a, certificate: {{subjectAltName: "{written}"}}}}]'
    if spelled is None:
        (found,) = spec_problems("Tenant", spec)
        assert "clients[0].certificate.subjectAltName: " in found
    else:
        (client,) = tenant(spec).clients or ()
        assert client.certificates == (spelled,)


def named(name: str, *, namespace: str = "") -> str:
    owner = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: llmgateway.dev/v1\nkind: Tenant\nmetadata: {{name: {name}{owner}}}\nspec: {{}}\n"


class TestWhoseItIs:
    def test_it_declares_the_tenant_of_its_name(self) -> None:
        resources = read_text(named("Acme_1"))
        assert resources.problems == ()
        assert [each.name for each in resources.tenant_documents] == ["Acme_1"]
        assert resources.tenants == {"Acme_1"}

    @pytest.mark.parametrize(("namespace", "folder"), [("acme", ""), ("", "acme"), ("acme", "acme")])
    def test_folder_and_namespace_agree(self, namespace: str, folder: str) -> None:
        resources = read_text(named("acme", namespace=namespace), folder=folder)
        assert resources.problems == ()
        assert resources.tenants == {"acme"}

    ANOTHER = 'is "other" among the documents of tenant "acme": a Tenant has its own name'

    def test_in_a_folder_it_counts_against_the_folder_alone(self) -> None:
        resources = read_text(named("other"), folder="acme")
        (problem,) = resources.problems
        assert (problem.path, problem.message, problem.tenant) == ("metadata.name", self.ANOTHER, "acme")
        assert resources.tenants == {"acme"}
        assert resources.tenant_documents == ()

    def test_without_a_folder_it_may_be_meant_for_either(self) -> None:
        resources = read_text(named("other", namespace="acme"))
        assert [(problem.path, problem.message, problem.tenant) for problem in resources.problems] == [
            ("metadata.name", self.ANOTHER, "acme"),
            ("metadata.namespace", 'is "acme" in what seems to be the Tenant document of other', "other"),
        ]
        assert resources.tenants == {"acme", "other"}
        assert resources.tenant_documents == ()

    def test_the_root_namespace_is_none(self) -> None:
        (problem,) = read_text(named("istio-system")).problems
        assert problem.message == "istio-system is no tenant: its providers are visible to all"

    def test_a_name_that_is_none_counts_against_whoever_had_the_file(self) -> None:
        resources = read_text(named("a/b"))
        (problem,) = resources.problems
        assert (problem.path, problem.tenant) == ("metadata.name", "default")
        assert resources.broken_files == {"conf.d/x.yaml"}

    @pytest.mark.parametrize("kind", ["kind: Tenent", "kind: tenant", "kind:", "kind: !t Tenant", ""])
    def test_whatever_has_clients_is_one(self, kind: str) -> None:
        text = named("acme").replace("kind: Tenant", kind).replace("{}", "{clients: []}")
        resources = read_text(text)
        assert {problem.tenant for problem in resources.problems} == resources.tenants == {"acme"}

    def test_of_an_unknown_group_it_is_one_where_it_has_clients(self) -> None:
        text = named("acme").replace("llmgateway.dev", "minio.min.io")
        (skipped,) = read_text(text).problems
        assert (skipped.severity, skipped.tenant) == ("warning", "acme")
        (problem,) = read_text(text.replace("{}", "{clients: []}")).problems
        assert (problem.severity, problem.tenant) == ("error", "acme")
        assert problem.message == 'there is no Tenant in "minio.min.io/v1"'

    def test_of_another_kind_without_clients_the_name_says_nothing(self) -> None:
        assert read_text(named("acme").replace("kind: Tenant", "kind: Tenent")).tenants == {"default"}

    def test_a_wrong_document_counts_against_its_tenant(self) -> None:
        resources = read_text(named("acme").replace("{}", "{clients: 1}"))
        (problem,) = resources.problems
        assert problem.tenant == "acme"
        assert resources.tenants == {"acme"}
        assert resources.tenant_documents == ()


class TestOnesThatCannotBeRead:
    """A tenant whose document cannot be read must not be taken for one without clients."""

    HEAD = "apiVersion: llmgateway.dev/v1\nkind: Tenant\n"
    UNREADABLE = "spec: {clients: [\n"

    @pytest.mark.parametrize(
        "metadata",
        [
            "metadata: {name: acme}\n",
            "metadata: {labels: {app: x}, name: 'acme'}\n",
            "metadata:\n  name: acme\n",
            'metadata:\n  labels:\n    app: x\n\n  "name": "acme"\n',
            "metadata:\n  name: &who acme # ours\n",
        ],
    )
    def test_it_counts_against_the_tenant_that_it_names(self, metadata: str) -> None:
        resources = read_text(self.HEAD + metadata + self.UNREADABLE)
        assert resources.tenants == {"default", "acme"}
        assert ("acme", "holds what seems to be the Tenant document of acme, and cannot be read") in {
            (problem.tenant, problem.message) for problem in resources.problems
        }

    def test_every_document_of_the_file_counts(self) -> None:
        documents = [self.HEAD + f"metadata: {{name: {name}}}\n" for name in ("one", "two")]
        resources = read_text("spec: {}}\n---\n".join(documents) + self.UNREADABLE)
        assert resources.tenants == {"default", "one", "two"}

    def test_one_that_can_be_read_is_not_doubted(self) -> None:
        resources = read_text(named("acme") + "---\na: [\n")
        assert {problem.tenant for problem in resources.problems} == {"default"}
        assert [each.name for each in resources.tenant_documents] == ["acme"]

    def test_what_has_clients_seems_to_be_one(self) -> None:
        resources = read_text("kind: Tenent\nmetadata: {name: acme}\n" + self.UNREADABLE)
        assert resources.tenants == {"default", "acme"}

    @pytest.mark.parametrize("name", ["ac me", "ac/me", "${ACME}"])
    def test_of_what_is_no_name_nobody_is_guessed(self, name: str) -> None:
        resources = read_text(self.HEAD + f"metadata: {{name: {name}}}\n" + self.UNREADABLE)
        assert resources.tenants == {"default"}

    def test_other_kinds_name_no_tenant(self) -> None:
        resources = read_text("kind: LLMRoute\nmetadata: {name: acme}\nspec: {clients: [\n")
        assert resources.tenants == {"default"}

    def test_in_a_folder_it_counts_against_the_folder_alone(self) -> None:
        resources = read_text(self.HEAD + "metadata: {name: other}\n" + self.UNREADABLE, folder="acme")
        assert resources.tenants == {"acme"}

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
    def test_a_file_of_another_encoding(self, encoding: str) -> None:
        resources = read_text((self.HEAD + "metadata: {name: acme}\n").encode(encoding))
        assert resources.tenants == {"default", "acme"}

    def test_a_file_that_is_no_text(self) -> None:
        resources = read_text((self.HEAD + "metadata: {name: acme}\n").encode() + b"\xff")
        assert resources.tenants == {"default", "acme"}
