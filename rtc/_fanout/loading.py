"""Finds and loads the kernel, and the libcrypto that it calls."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import os
from functools import cache
from typing import Any, Final

#: What the kernel calls of OpenSSL's libcrypto, in the order of its table.
_SYMBOLS: Final = (
    "EVP_CIPHER_CTX_new",
    "EVP_CIPHER_CTX_free",
    "EVP_aes_128_gcm",
    "EVP_aes_256_gcm",
    "EVP_aes_128_ctr",
    "EVP_aes_256_ctr",
    "EVP_sha1",
    "EVP_EncryptInit_ex",
    "EVP_DecryptInit_ex",
    "EVP_EncryptUpdate",
    "EVP_DecryptUpdate",
    "EVP_EncryptFinal_ex",
    "EVP_DecryptFinal_ex",
    "EVP_CIPHER_CTX_ctrl",
    "HMAC_CTX_new",
    "HMAC_CTX_free",
    "HMAC_Init_ex",
    "HMAC_Update",
    "HMAC_Final",
)
#: Set to load the build with sanitizers, for tests.
_SANITIZED: Final = "HEARTH_SANITIZED_KERNEL"


class Kernel:
    """The loaded library."""

    def __init__(self, ffi: Any, lib: Any, crypto: ctypes.CDLL) -> None:
        self.ffi, self.lib = ffi, lib
        self._crypto = crypto  # its functions are called as long as the kernel lives
        addresses = [ctypes.cast(getattr(crypto, name), ctypes.c_void_p).value for name in _SYMBOLS]
        table = ffi.new("void *[]", [ffi.cast("void *", address) for address in addresses])
        if lib.hf_init(table, len(_SYMBOLS)) < 0:
            raise ImportError("libcrypto lacks a function that the kernel needs")


@cache
def load() -> Kernel | str:
    """The kernel, or why there is none, as a sentence."""
    from rtc._fanout import build  # also run as a program of its own

    sanitize = os.environ.get(_SANITIZED) == "1"
    if not build.is_current(sanitize=sanitize):
        return build.why_not() or "The kernel is not built: type python3 -m rtc._fanout.build."
    crypto = _libcrypto()
    if crypto is None:
        return "There is no libcrypto of OpenSSL 3."
    path = build.folder(sanitize=sanitize) / build.LIBRARY
    spec = importlib.util.spec_from_file_location("_native", path)
    assert spec is not None
    assert spec.loader is not None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return Kernel(module.ffi, module.lib, crypto)
    except (ImportError, OSError) as error:
        return f"The kernel cannot be loaded: {error}."


def _libcrypto() -> ctypes.CDLL | None:
    """That of pylibsrtp's wheel, which exports its functions, or the system's."""
    found: list[str] = []
    binding = importlib.util.find_spec("pylibsrtp._binding")
    if binding is not None and binding.origin is not None:
        found.append(binding.origin)
    for name in (*found, "libcrypto.so.3", ctypes.util.find_library("crypto") or ""):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None and all(hasattr(library, symbol) for symbol in _SYMBOLS):
            return library
    return None
