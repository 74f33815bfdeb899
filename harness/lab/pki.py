"""The lab's certificate authority, certificates and kubeconfigs: EC P-256, valid for a year, used by one lab only.

Making all of them takes some 10 ms for a lab of six nodes (measured), so there is nothing to cache.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.files import write_whole
from harness.lab import addresses

_VALID = timedelta(days=365)
_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A client: the file name of its certificate, its user name, and the groups it belongs to."""

    file: str
    user: str
    groups: tuple[str, ...] = ()


ADMIN = Identity("admin", "taintlab:admin", ("system:masters",))
CONTROLLER_MANAGER = Identity("controller-manager", "system:kube-controller-manager")
SCHEDULER = Identity("scheduler", "system:kube-scheduler")
PROXY = Identity("proxy", "system:kube-proxy")
DNS = Identity("dns", "taintlab:dns")
PROMETHEUS = Identity("prometheus", "taintlab:prometheus")
KUBELET_CLIENT = Identity("apiserver-kubelet-client", "taintlab:kubelet-client")
_CLIENTS = (ADMIN, CONTROLLER_MANAGER, SCHEDULER, PROXY, DNS, PROMETHEUS, KUBELET_CLIENT)


def kubelet_identity(node: str) -> Identity:
    """What the Node authorizer and NodeRestriction know a kubelet by."""
    return Identity(f"kubelet-{node}", f"system:node:{node}", ("system:nodes",))


class Authority:
    """A certificate authority whose files lie in one folder (mode 0700, keys 0600)."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder and a fresh authority in it, or opens the one that is there."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / "ca.key").exists():
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self._key = key
            self._certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "taintlab")])
            builder = _builder(name, name, self._key.public_key()).add_extension(
                x509.BasicConstraints(ca=True, path_length=None), critical=True
            )
            self._certificate = builder.sign(self._key, hashes.SHA256())
            self._write("ca.key", _private(self._key))
            self._write("ca.crt", self.certificate)

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue_client(self, identity: Identity) -> tuple[bytes, bytes]:
        """Writes FILE.crt and FILE.key of a client; (certificate, key) as PEM."""
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
            + [x509.NameAttribute(NameOID.COMMON_NAME, identity.user)]
        )
        return self._issue(identity.file, subject, usage=ExtendedKeyUsageOID.CLIENT_AUTH, alternatives=())

    def issue_server(self, file: str, names: Sequence[str], ips: Sequence[str]) -> None:
        """Writes FILE.crt and FILE.key of a server with these DNS names and addresses."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        alternatives = [x509.DNSName(name) for name in names]
        addresses_of = [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
        self._issue(file, subject, usage=ExtendedKeyUsageOID.SERVER_AUTH, alternatives=[*alternatives, *addresses_of])

    def write_signing_key(self) -> None:
        """sa.key and sa.pub: what ServiceAccount tokens are signed with and checked by."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write("sa.key", _private(key))
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._write("sa.pub", public)

    def write_kubeconfig(self, path: Path, *, identity: Identity, server: str) -> None:
        """A self-contained kubeconfig for `identity`, with a fresh certificate; its context is called ``taintlab``."""
        certificate, key = self.issue_client(identity)
        content = kubeconfig(server=server, ca=self.certificate, user=identity.user, certificate=certificate, key=key)
        write_whole(path, content.encode(), durable=False)

    def _issue(
        self, file: str, subject: x509.Name, *, usage: x509.ObjectIdentifier, alternatives: Sequence[x509.GeneralName]
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._certificate.subject, key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = _private(key)
        self._write(f"{file}.crt", certificate)
        self._write(f"{file}.key", private)
        return certificate, private

    def _write(self, name: str, content: bytes) -> None:
        write_whole(self._folder / name, content, durable=False)


def make(folder: Path, *, inside_server: str) -> Authority:
    """Everything that is known before the nodes are: the authority, the servers, every client's kubeconfig but the
    administrator's. `inside_server`: the API server's URL in the namespace.
    """
    authority = Authority(folder)
    authority.issue_server(
        "apiserver",
        [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{addresses.CLUSTER_DOMAIN}",
        ],
        ["127.0.0.1", addresses.API_ADDRESS, addresses.KUBERNETES_SERVICE],
    )
    authority.write_signing_key()
    for identity in _CLIENTS:
        if identity is not ADMIN:
            authority.write_kubeconfig(folder / f"{identity.file}.kubeconfig", identity=identity, server=inside_server)
    return authority


def kubeconfig(*, server: str, ca: bytes, user: str, certificate: bytes, key: bytes) -> str:
    """The text of a kubeconfig with everything inlined (JSON, which is YAML)."""

    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    fields = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "taintlab",
        "clusters": [{"name": "taintlab", "cluster": {"server": server, "certificate-authority-data": inline(ca)}}],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": inline(certificate), "client-key-data": inline(key)},
            }
        ],
        "contexts": [{"name": "taintlab", "context": {"cluster": "taintlab", "user": user}}],
    }
    return json.dumps(fields, indent=1) + "\n"


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
