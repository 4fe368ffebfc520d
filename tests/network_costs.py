"""Parameters and multiply-adds of known networks, from the papers' tables by arithmetic alone: no layer is made."""


class Cost:
    """Trainable parameters and multiply-adds so far."""

    def __init__(self):
        self.parameters = self.multiply_adds = 0

    def conv(self, side, window, given, made, *, bias=True, norm=0, groups=1):
        """A convolution that leaves `side` x `side` pixels; `norm` trainable values of normalization per channel."""
        self.multiply_adds += side * side * window * (given // groups) * made
        self.parameters += window * (given // groups) * made + bias * made + norm * made

    def dense(self, given, made):
        self.conv(1, 1, given, made)


def lenet5():
    c = Cost()
    c.conv(28, 25, 1, 6)
    c.conv(10, 25, 6, 16)
    c.dense(5 * 5 * 16, 120)
    c.dense(120, 84)
    c.dense(84, 10)
    return c


def alexnet(paper=False):
    c = Cost()
    a, b, d, e, f = (96, 256, 384, 384, 256) if paper else (64, 192, 384, 256, 256)
    groups = 2 if paper else 1
    c.conv(55, 121, 3, a)
    c.conv(27, 25, a, b, groups=groups)
    c.conv(13, 9, b, d)
    c.conv(13, 9, d, e, groups=groups)
    c.conv(13, 9, e, f, groups=groups)
    return _three_dense(c, 6 * 6 * f)


def zfnet():
    c = Cost()
    c.conv(110, 49, 3, 96)
    c.conv(26, 25, 96, 256)
    c.conv(13, 9, 256, 384)
    c.conv(13, 9, 384, 384)
    c.conv(13, 9, 384, 256)
    return _three_dense(c, 6 * 6 * 256)


def vgg(depths):
    c, given = Cost(), 3
    for block, (count, made) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True)):
        for _ in range(count):
            c.conv(224 >> block, 9, given, made)
            given = made
    return _three_dense(c, 7 * 7 * 512)


def _three_dense(c, given):
    for a, b in ((given, 4096), (4096, 4096), (4096, 1000)):
        c.dense(a, b)
    return c


def resnet(depths, bottleneck, bias, version):
    c = Cost()
    what = {"bias": bias, "norm": 2}
    c.conv(112, 49, 3, 64, **what)
    given = 64
    for stage, count in enumerate(depths):
        width, side = 64 << stage, 56 >> stage
        made = 4 * width if bottleneck else width
        for number in range(count):
            first_side = 2 * side if number == 0 and stage > 0 else side  # what enters the block
            if bottleneck:
                c.conv(side if version == "v1" else first_side, 1, given, width, **what)
                c.conv(side, 9, width, width, **what)
                c.conv(side, 1, width, made, **what)
            else:
                c.conv(side, 9, given, width, **what)
                c.conv(side, 9, width, width, **what)
            if given != made:
                c.conv(side, 1, given, made, **what)
            given = made
    c.dense(given, 1000)
    return c


def resnet_v2(depths):
    c = Cost()
    c.conv(112, 49, 3, 64)
    given = 64
    for stage, count in enumerate(depths):
        width = 64 << stage
        for number in range(count):
            last = number == count - 1 and stage < 3
            side = 56 >> stage  # the last block of a stage makes it half of that
            c.parameters += 2 * given  # normalization comes first
            c.conv(side, 1, given, width, bias=False, norm=2)
            c.conv(side // 2 if last else side, 9, width, width, bias=False, norm=2)
            c.conv(side // 2 if last else side, 1, width, 4 * width)
            if number == 0:
                c.conv(side, 1, given, 4 * width)
            given = 4 * width
    c.parameters += 2 * given
    c.dense(given, 1000)
    return c


def xception():
    c = Cost()
    what = {"bias": False, "norm": 2}

    def separable(side, given, made):
        c.conv(side, 9, given, given, bias=False, groups=given)
        c.conv(side, 1, given, made, **what)

    c.conv(149, 9, 3, 32, **what)
    c.conv(147, 9, 32, 64, **what)
    for side, given, middle, made in ((147, 64, 128, 128), (74, 128, 256, 256), (37, 256, 728, 728)):
        separable(side, given, middle)
        separable(side, middle, made)
        c.conv((side + 1) // 2, 1, given, made, **what)
    for _ in range(3 * 8):
        separable(19, 728, 728)
    separable(19, 728, 728)
    separable(19, 728, 1024)
    c.conv(10, 1, 728, 1024, **what)
    separable(10, 1024, 1536)
    separable(10, 1536, 2048)
    c.dense(2048, 1000)
    return c


def densenet(depths):
    c = Cost()
    what = {"bias": False}
    c.conv(112, 49, 3, 64, norm=2, **what)
    given = 64
    for stage, count in enumerate(depths):
        side = 56 >> stage
        for _ in range(count):
            c.conv(side, 1, given, 128, norm=2, **what)
            c.conv(side, 9, 128, 32, **what)
            c.parameters += 2 * given  # normalization comes first
            given += 32
        if stage < 3:
            c.conv(side, 1, given, given // 2, **what)
            c.parameters += 2 * given
            given //= 2
    c.parameters += 2 * given
    c.dense(given, 1000)
    return c


def squeezenet(version):
    c = Cost()
    if version == "1.0":
        c.conv(109, 49, 3, 96)
        given, sides = 96, (54, 54, 54, 27, 27, 27, 27, 13)
    else:
        c.conv(111, 9, 3, 64)
        given, sides = 64, (55, 55, 27, 27, 13, 13, 13, 13)
    for number, side in enumerate(sides):
        squeezed = 16 * (number // 2 + 1)
        c.conv(side, 1, given, squeezed)
        c.conv(side, 1, squeezed, 4 * squeezed)
        c.conv(side, 9, squeezed, 4 * squeezed)
        given = 8 * squeezed
    c.conv(13, 1, given, 1000)
    return c


def mobilenet():
    c = Cost()
    c.conv(112, 9, 3, 32, bias=False, norm=2)
    given, side = 32, 112
    for made, strides in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [
        (1024, 2), (1024, 1),
    ]:  # fmt: skip
        side //= strides
        c.conv(side, 9, given, given, bias=False, norm=2, groups=given)
        c.conv(side, 1, given, made, bias=False, norm=2)
        given = made
    c.dense(1024, 1000)
    return c


def mobilenet_v2():
    c = Cost()
    what = {"bias": False, "norm": 2}
    c.conv(112, 9, 3, 32, **what)
    given, side = 32, 112
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for wider, made, count, strides in stages:
        for number in range(count):
            if wider > 1:
                c.conv(side, 1, given, wider * given, **what)
            side //= strides if number == 0 else 1
            c.conv(side, 9, wider * given, wider * given, groups=wider * given, **what)
            c.conv(side, 1, wider * given, made, **what)
            given = made
    c.conv(7, 1, 320, 1280, **what)
    c.dense(1280, 1000)
    return c


def googlenet(paper=False, aux=False):
    c = Cost()
    what = {} if paper else {"bias": False, "norm": 2}
    c.conv(112, 49, 3, 64, **what)
    c.conv(56, 1, 64, 64, **what)
    c.conv(56, 9, 64, 192, **what)
    given = 192
    for side, a, b, d, e, f, g in [
        (28, 64, 96, 128, 16, 32, 32), (28, 128, 128, 192, 32, 96, 64), (14, 192, 96, 208, 16, 48, 64),
        (14, 160, 112, 224, 24, 64, 64), (14, 128, 128, 256, 24, 64, 64), (14, 112, 144, 288, 32, 64, 64),
        (14, 256, 160, 320, 32, 128, 128), (7, 256, 160, 320, 32, 128, 128), (7, 384, 192, 384, 48, 128, 128),
    ]:  # fmt: skip
        for window, entering, made in [
            (1, given, a), (1, given, b), (9, b, d), (1, given, e), (25 if paper else 9, e, f), (1, given, g),
        ]:  # fmt: skip
            c.conv(side, window, entering, made, **what)
        given = a + d + f + g
        if aux and (given, a) in {(512, 192), (528, 112)}:  # behind 4a and 4d
            c.conv(4, 1, given, 128, **what)
            c.dense(4 * 4 * 128, 1024)
            c.dense(1024, 1000)
    c.dense(1024, 1000)
    return c


def inception_v3():
    c = Cost()

    def path(side, given, *steps):
        for window, made in steps:
            c.conv(side, window, given, made, bias=False, norm=1)  # normalization without a scale
            given = made

    path(149, 3, (9, 32))
    path(147, 32, (9, 32), (9, 64))
    path(73, 64, (1, 80))
    path(71, 80, (9, 192))
    for given, pooled in ((192, 32), (256, 64), (288, 64)):
        path(35, given, (1, 64))
        path(35, given, (1, 48), (25, 64))
        path(35, given, (1, 64), (9, 96), (9, 96))
        path(35, given, (1, pooled))
    path(17, 288, (9, 384))
    path(35, 288, (1, 64), (9, 96))
    path(17, 96, (9, 96))
    for n in (128, 160, 160, 192):
        path(17, 768, (1, 192))
        path(17, 768, (1, n), (7, n), (7, 192))
        path(17, 768, (1, n), (7, n), (7, n), (7, n), (7, 192))
        path(17, 768, (1, 192))
    path(17, 768, (1, 192))
    path(8, 192, (9, 320))
    path(17, 768, (1, 192), (7, 192), (7, 192))
    path(8, 192, (9, 192))
    for given in (1280, 2048):
        path(8, given, (1, 320))
        path(8, given, (1, 384))
        path(8, given, (1, 448), (9, 384))
        for _ in range(4):
            path(8, 384, (3, 384))
        path(8, given, (1, 192))
    c.dense(2048, 1000)
    return c


def unet():
    c, given = Cost(), 1
    sides = (570, 282, 138, 66, 30)  # behind the first convolution of each floor on the way down
    for floor, side in enumerate(sides):
        c.conv(side, 9, given, 64 << floor)
        c.conv(side - 2, 9, 64 << floor, 64 << floor)
        given = 64 << floor
    for floor, below in zip((3, 2, 1, 0), (28, 52, 100, 196), strict=True):
        made = 64 << floor
        c.conv(below, 4, given, made)  # each pixel is spread over 2x2
        c.conv(2 * below - 2, 9, 2 * made, made)
        c.conv(2 * below - 4, 9, made, made)
        given = made
    c.conv(388, 1, 64, 2)
    return c
