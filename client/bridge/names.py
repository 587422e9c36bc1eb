"""People's names as the screen needs them: checked, shortened to initials, turned into a colour."""

from __future__ import annotations

from hashlib import blake2b
from math import cos, pi, sin

from rtc.names import clean_name
from rtc.signalling import ProtocolError

#: Lightness and chroma (Oklch) of every initials tile. Raising the lightness makes white initials harder
#: to read; raising the chroma leaves the sRGB gamut for some hues.
TILE_LIGHTNESS = 0.44
TILE_CHROMA = 0.07


def checked_name(text: str) -> tuple[str, str]:
    """The name as the others will see it, and what is wrong with it as one sentence; one of them is empty."""
    try:
        return clean_name(text), ""
    except ProtocolError as error:
        return "", error.sentence


def initials(name: str) -> str:
    """One or two letters that stand for a name: of its first and of its last word."""
    words = [word for word in name.split() if any(c.isalnum() for c in word)]
    if not words:
        return "?"
    letters = [next(c for c in word if c.isalnum()) for word in words]
    picked = letters[0] if len(letters) == 1 else letters[0] + letters[-1]
    return picked.upper()


def name_colour(name: str) -> str:
    """A colour for a name as `#rrggbb`: the hue from the name, the lightness the same for everybody."""
    digest = blake2b(
        " ".join(name.split()).casefold().encode("utf-8", "surrogatepass"), digest_size=2
    ).digest()
    hue = int.from_bytes(digest, "big") % 360
    return oklch(TILE_LIGHTNESS, TILE_CHROMA, hue)


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """Oklch (lightness 0..1, chroma, hue in degrees) as sRGB `#rrggbb`; B. Ottosson, 2020."""
    a = chroma * cos(hue * pi / 180)
    b = chroma * sin(hue * pi / 180)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_encode(channel):02x}" for channel in linear)


def _encode(linear: float) -> int:
    """A linear channel 0..1 as an sRGB byte, held inside the gamut."""
    value = min(1.0, max(0.0, linear))
    curved = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(curved * 255)
