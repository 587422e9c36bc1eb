"""Bandwidth estimation of a sender, pure: feedback and time in, a rate and probes out."""

from __future__ import annotations

from rtc.congestion.estimator import SendSideEstimator
from rtc.congestion.probes import Probe
from rtc.congestion.sent_log import SentLog

__all__ = ["Probe", "SendSideEstimator", "SentLog"]
