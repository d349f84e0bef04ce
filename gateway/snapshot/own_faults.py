"""What is wrong with a tenant's resources whatever others have written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.dialects.envelope import open_body
from gateway.errors import GatewayError
from gateway.resources.problems import Problem
from gateway.resources.provider import LLMProvider
from gateway.resources.route import LLMRoute
from gateway.snapshot.destinations import Destinations, UnusableFileError, dialects_of
from gateway.snapshot.health_checks import body_of
from gateway.snapshot.written import Surroundings, TenantResources


def own_faults(
    name: str, resources: TenantResources, surroundings: Surroundings, destinations: Destinations
) -> tuple[Problem, ...]:
    """Every error: names and hosts that stand twice, and files of providers that cannot be used."""
    return (
        *_twins(name, "provider", resources.providers),
        *_twins(name, "route", resources.routes),
        *_second_documents(name, resources),
        *faults_of_files(name, resources, surroundings, destinations),
        *_unusable_bodies(name, resources),
    )


def faults_of_files(
    tenant: str, resources: TenantResources, surroundings: Surroundings, destinations: Destinations
) -> Iterator[Problem]:
    """Those of the files that providers name: the only ones that resources can have which were good before."""
    for provider in resources.providers:
        if not surroundings.loads(provider):
            continue
        for dialect in dict.fromkeys(dialects_of(provider)):
            try:
                destinations.of(provider, dialect)
            except UnusableFileError as bad:
                yield Problem(provider.places.at(bad.path), bad.path, bad.sentence, tenant=tenant)
                break


def _twins(tenant: str, kind: str, resources: Iterable[LLMProvider | LLMRoute]) -> Iterator[Problem]:
    names: dict[str, LLMProvider | LLMRoute] = {}
    hosts: dict[str, LLMProvider | LLMRoute] = {}
    for resource in resources:
        first = names.setdefault(resource.name, resource)
        if first is not resource:
            path = "metadata.name"
            message = f"a {kind} named {resource.name} is at {first.places.at(path)} too"
        else:
            path = "spec.host"
            first = hosts.setdefault(resource.host, resource)
            message = f"{kind} {first.name} at {first.places.at(path)} has the host {resource.host} too"
        if first is not resource:
            yield Problem(resource.places.at(path), path, message, tenant=tenant)


def _second_documents(tenant: str, resources: TenantResources) -> Iterator[Problem]:
    for document in resources.documents[1:]:
        where = resources.documents[0].places.at("metadata.name")
        message = f"a Tenant named {document.name} is at {where} too"
        yield Problem(document.places.at("metadata.name"), "metadata.name", message, tenant=tenant)


def _unusable_bodies(tenant: str, resources: TenantResources) -> Iterator[Problem]:
    for provider in resources.providers:
        check = provider.health_check
        body = body_of(check) if check is not None and check.operation is not None else None
        if body is not None:
            try:
                open_body(body)
            except GatewayError as bad:
                path = "spec.healthCheck.body"
                yield Problem(provider.places.at(path), path, bad.message, tenant=tenant)
