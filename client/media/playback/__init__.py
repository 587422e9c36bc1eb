"""From frames of the network to the eye and the ear: decoding threads, the mixer, the speaker."""

from client.media.playback.decode_worker import DecodeWorker
from client.media.playback.mixer import Mixer
from client.media.playback.sound_stream import SoundStream
from client.media.playback.speaker import NullSpeaker, Speaker, SpeakerSpec, open_speaker

__all__ = [
    "DecodeWorker",
    "Mixer",
    "NullSpeaker",
    "SoundStream",
    "Speaker",
    "SpeakerSpec",
    "open_speaker",
]
