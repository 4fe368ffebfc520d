"""Digits drawn as a hand might: strokes of one width, a little shaky, anywhere in a picture."""

import math
import random

from PIL import Image, ImageDraw


def _arc(x, y, rx, ry, start, end):
    angles = [math.radians(start + (end - start) * i / 24) for i in range(25)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


# Strokes as points in a unit square, y downwards.
STROKES = {
    0: [_arc(0.5, 0.5, 0.27, 0.4, -80, 280)],
    1: [[(0.36, 0.28), (0.54, 0.12), (0.52, 0.9)]],
    2: [[*_arc(0.5, 0.32, 0.24, 0.22, -170, 30), (0.27, 0.86), (0.3, 0.86), (0.77, 0.84)]],
    3: [[*_arc(0.48, 0.3, 0.22, 0.2, -150, 80), *_arc(0.48, 0.68, 0.26, 0.21, -80, 145)]],
    4: [[(0.6, 0.9), (0.62, 0.12), (0.6, 0.12), (0.22, 0.62), (0.8, 0.6)]],
    5: [[(0.72, 0.13), (0.34, 0.14), (0.31, 0.45), *_arc(0.48, 0.64, 0.25, 0.23, -135, 140)]],
    6: [[(0.64, 0.1), (0.45, 0.3), (0.31, 0.58), *_arc(0.5, 0.68, 0.2, 0.2, 180, 530)]],
    7: [[(0.24, 0.15), (0.76, 0.14), (0.62, 0.42), (0.44, 0.9)], [(0.36, 0.52), (0.72, 0.5)]],
    8: [[*_arc(0.5, 0.3, 0.19, 0.18, 90, 450), *_arc(0.5, 0.7, 0.23, 0.21, -90, 270)]],
    9: [[*_arc(0.5, 0.32, 0.21, 0.2, 0, -360), (0.7, 0.55), (0.62, 0.9)]],
}


def draw_digit(digit, *, size=160, height=0.7, shift=(0, 0), width=12, ink="black", paper="white", seed=0):
    """A picture of a digit.

    Args:
        digit: 0 to 9.
        size: the picture's side in pixels.
        height: of the digit, as a share of the side.
        shift: pixels to the right and down.
        width: of the lines, in pixels.
        ink: colour of the lines.
        paper: colour of the ground.
        seed: of the hand's tremor.
    """
    fine = 4  # drawn larger and reduced: smooth edges
    shaky = random.Random(seed)
    image = Image.new("RGB", (size * fine, size * fine), paper)
    pen = ImageDraw.Draw(image)
    radius = width * fine / 2

    def place(value, offset):
        tremor = shaky.uniform(-0.008, 0.008)
        return ((value - 0.5 + tremor) * height / 0.8 * size + size / 2 + offset) * fine

    for stroke in STROKES[digit]:
        points = [(place(x, shift[0]), place(y, shift[1])) for x, y in stroke]
        pen.line(points, fill=ink, width=width * fine, joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return image.resize((size, size), Image.Resampling.BOX)
