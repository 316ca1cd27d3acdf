"""
Colours with a meaning: eight that people with any kind of colour vision tell apart, each for one word.

They are those of Okabe and Ito. A colour never stands alone: what it means is written beside it, as a legend or a text.
"""

from __future__ import annotations

ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#999999"

PALETTE = frozenset({ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE, GREY})

# What is fine, what to look at, what is wrong.
OK, WARNING, BAD = GREEN, ORANGE, VERMILLION

# The parts of a capacity, and of what asks for it.
IN_USE = BLUE
GRANTED = SKY
AVAILABLE = GREEN
RESERVED = PURPLE
RETAINED = YELLOW
BEYOND_PLAN = GREY
UNAVAILABLE = VERMILLION
WAITING = ORANGE
INSTALLED = GREY
