"""A provider's certificate, by an authority made for one run."""

from __future__ import annotations

from pathlib import Path

from bench.servers import CannotRunError, Certificate


def issue(directory: Path, *names: str) -> Certificate:
    """Write a certificate for these DNS names; raises CannotRunError without trustme."""
    try:
        import trustme
    except ImportError:
        raise CannotRunError("--tls needs trustme: pip install '.[test]'.") from None
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
    certificate = Certificate(directory / "chain.pem", directory / "key.pem", directory / "authority.pem")
    leaf.cert_chain_pems[0].write_to_path(certificate.chain)
    leaf.private_key_pem.write_to_path(certificate.key)
    authority.cert_pem.write_to_path(certificate.authority)
    return certificate
