"""What goes wrong inside a codec."""


class CodecError(Exception):
    """The encoder or decoder refused its input; the next key frame may work again."""
