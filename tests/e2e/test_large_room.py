"""The guest page in the largest meeting: everybody is heard, and what it offers fits into a message."""

from __future__ import annotations

import json
from typing import Any

from rtc.signalling import MAX_MESSAGE_BYTES, dump_message, media, parse_client_message
from tests.e2e.conftest import Company

VOICES = """
return import("/web/voices.js").then(({ plain, wantedVoices }) => arguments[0].map((count) => {
  const producers = Array.from({ length: count }, (_, n) => ({ id: `p${n}`, kind: "audio" }));
  const wanted = wantedVoices(producers).map(({ id }) => id);
  const message = { type: "offer", receive: wanted.map((producer, mid) => ({ mid, producer })) };
  return [wanted, plain(message).receive.map(({ producer }) => producer)];
}));
"""
#: What a page offers to a meeting with 24 pictures or more and 99 voices: the text of its message.
OFFER = """
const [pictures, sounds] = arguments;
return Promise.all([import("/web/peer.js"), import("/web/voices.js")]).then(async (modules) => {
  const [{ Peer }, { plain, wantedVoices }] = modules;
  const messages = [];
  const peer = new Peer(async (message) => {
    messages.push(JSON.stringify({ ...plain(message), id: 1 }));
    throw { code: "enough" };
  });
  const camera = document.createElement("canvas").captureStream().getVideoTracks()[0];
  const context = new AudioContext();
  const microphone = context.createMediaStreamDestination().stream.getAudioTracks()[0];
  const wanted = [...pictures, ...wantedVoices(sounds)];
  peer.send("camera", camera);
  peer.send("microphone", microphone);
  for (const offers of [1, 2]) { // the first has what was there when it was begun
    peer.want(wanted);
    while (messages.length < offers) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  peer.close();
  await context.close();
  return messages[1];
});
"""


def producers(kind: str, count: int) -> list[dict[str, Any]]:
    """With ids as long as the server's."""
    return [{"id": f"p{kind}{n:05}", "kind": kind, "member": f"m{n}"} for n in range(count)]


def test_voices_without_a_section_of_their_own_come_as_whoever_is_loud(company: Company) -> None:
    few, many = company.cem.browser.run(VOICES, [23, 99])
    assert few == [[f"p{n}" for n in range(23)]] * 2
    assert many[0] == [*(f"p{n}" for n in range(20)), "*1", "*2", "*3"]
    assert many[1] == [*(f"p{n}" for n in range(20)), "*", "*", "*"]


def test_an_offer_to_the_largest_meeting_fits_into_a_message(company: Company) -> None:
    text = company.cem.browser.run(OFFER, producers("video", 24), producers("audio", 99))
    offer = parse_client_message(text)
    assert isinstance(offer, media.Offer)
    assert len(offer.receive) == 24 + 23
    assert {sending.source for sending in offer.send} == {"camera", "microphone"}
    # Room for a share, and for sections that still rest after others went.
    one = len(offer.sdp) / (len(offer.receive) + len(offer.send))
    print(f"{len(offer.sdp)} characters, {len(text)} bytes")
    assert len(offer.sdp) + 4 * one < 62_000
    assert len(json.dumps(json.loads(text))) + 4 * one < MAX_MESSAGE_BYTES
    assert len(dump_message(offer)) < MAX_MESSAGE_BYTES
