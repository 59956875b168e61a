"""Finds a file's colour information: an ICC profile, or code points."""

import io

import pi_heif
from PIL import Image

from image_retrieval.imaging.cicp import Cicp
from image_retrieval.imaging.png import Stripped

Profile = bytes | Cicp


def profile_of(image: Image.Image, data: bytes, png: Stripped | None) -> Profile | None:
    """The profile of a loaded picture. Code points override ICC in PNG, and ICC overrides them in HEIF and AVIF."""
    if png is not None:
        return png.cicp or _by_its_content(png.profile)
    icc: bytes | None = image.info.get("icc_profile")
    if icc:
        return _by_its_content(icc)
    points: Cicp | None = image.info.get("cicp")
    if points is not None:
        return points
    if image.format == "AVIF":
        return _of_nclx(_info_of_avif(data).get("nclx_profile"))
    return _of_nclx(image.info.get("nclx_profile")) if image.format == "HEIF" else None


def _by_its_content(profile: bytes | None) -> Profile | None:
    """The ICC profile; for HDR its code points (ICC.1:2022, 9.2.17), since its curves reach the display's peak."""
    if profile is None:
        return None
    for at in range(132, 132 + 12 * min(int.from_bytes(profile[128:132], "big"), 256), 12):
        if profile[at : at + 4] == b"cicp":
            start = int.from_bytes(profile[at + 4 : at + 8], "big") + 8
            points = profile[start : start + 2]
            if len(points) == 2 and (found := Cicp(*points)).hdr:
                return found
    return profile


def _of_nclx(nclx: object) -> Cicp | None:
    if not isinstance(nclx, dict):
        return None
    return Cicp(int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]))


def _info_of_avif(data: bytes) -> dict[str, object]:
    """The header that libheif reads, since Pillow does not expose the code points."""
    try:
        return dict(pi_heif.open_heif(io.BytesIO(data)).info)
    except Exception:  # decoders may raise anything
        return {}
