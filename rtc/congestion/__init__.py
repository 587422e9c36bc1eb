"""How much a path takes: Google congestion control at the sender. See docs/bandwidth-estimation.md."""

from rtc.congestion.estimator import SendSideEstimator
from rtc.congestion.probing import Probe

__all__ = ["Probe", "SendSideEstimator"]
