"""Well-known networks: their published parameters and multiplications, their arguments, what courses teach of them."""

import functools
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import cnnfast
import network_costs
from cnnfast import applications, layers, models
from cnnfast.applications import googlenet, imagenet_utils, resnet
from cnnfast.layers.base import initial_weights_from

ROOT = Path(__file__).resolve().parents[1]


def _tool():
    spec = importlib.util.spec_from_file_location("applications_table", ROOT / "tools" / "applications_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _tool()
figures = functools.lru_cache(tool.figures)  # each network is built once
_R50, _R101, _R152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)

# Network, arguments, what arithmetic says, the published parameters (those that are trained), and the published
# thousand millions of multiply-adds: torchvision's tables of weights, or the papers.
PUBLISHED = [
    ("LeNet5", {}, network_costs.lenet5(), 61_706, None),
    ("AlexNet", {}, network_costs.alexnet(), 61_100_840, 0.714),
    ("AlexNet", {"style": "paper"}, network_costs.alexnet(paper=True), 60_965_224, 0.72),
    ("ZFNet", {}, network_costs.zfnet(), 62_357_608, None),  # by the sizes of the paper's figure 3
    ("VGG11", {}, network_costs.vgg((1, 1, 2, 2, 2)), 132_863_336, 7.609),
    ("VGG13", {}, network_costs.vgg((2, 2, 2, 2, 2)), 133_047_848, 11.308),
    ("VGG16", {}, network_costs.vgg((2, 2, 3, 3, 3)), 138_357_544, 15.47),
    ("VGG19", {}, network_costs.vgg((2, 2, 4, 4, 4)), 143_667_240, 19.632),
    ("GoogLeNet", {}, network_costs.googlenet(), 6_624_904, 1.498),
    ("GoogLeNet", {"aux_logits": True}, network_costs.googlenet(aux=True), 13_004_888, None),
    ("GoogLeNet", {"style": "paper"}, network_costs.googlenet(paper=True), 6_998_552, 1.58),
    ("InceptionV3", {}, network_costs.inception_v3(), 23_817_352, 5.713),
    ("ResNet18", {}, network_costs.resnet((2, 2, 2, 2), False, False, "v1"), 11_689_512, 1.814),
    ("ResNet34", {}, network_costs.resnet((3, 4, 6, 3), False, False, "v1"), 21_797_672, 3.664),
    ("ResNet50", {}, network_costs.resnet(_R50, True, True, "v1"), 25_583_592, 3.9),
    ("ResNet101", {}, network_costs.resnet(_R101, True, True, "v1"), 44_601_832, 7.6),
    ("ResNet152", {}, network_costs.resnet(_R152, True, True, "v1"), 60_268_520, 11.3),
    ("ResNet50", {"style": "torchvision"}, network_costs.resnet(_R50, True, False, "v1.5"), 25_557_032, 4.089),
    ("ResNet101", {"style": "torchvision"}, network_costs.resnet(_R101, True, False, "v1.5"), 44_549_160, 7.801),
    ("ResNet152", {"style": "torchvision"}, network_costs.resnet(_R152, True, False, "v1.5"), 60_192_808, 11.514),
    ("ResNet50V2", {}, network_costs.resnet_v2(_R50), 25_568_360, None),
    ("ResNet101V2", {}, network_costs.resnet_v2(_R101), 44_577_896, None),
    ("ResNet152V2", {}, network_costs.resnet_v2(_R152), 60_236_904, None),
    ("Xception", {}, network_costs.xception(), 22_855_952, None),
    ("DenseNet121", {}, network_costs.densenet((6, 12, 24, 16)), 7_978_856, 2.834),
    ("DenseNet169", {}, network_costs.densenet((6, 12, 32, 32)), 14_149_480, 3.36),
    ("DenseNet201", {}, network_costs.densenet((6, 12, 48, 32)), 20_013_928, 4.291),
    ("SqueezeNet", {"version": "1.0"}, network_costs.squeezenet("1.0"), 1_248_424, 0.819),
    ("SqueezeNet", {}, network_costs.squeezenet("1.1"), 1_235_496, 0.349),
    ("MobileNet", {}, network_costs.mobilenet(), 4_231_976, 0.569),
    ("MobileNetV2", {}, network_costs.mobilenet_v2(), 3_504_872, 0.301),
    ("UNet", {}, network_costs.unet(), 31_030_658, None),  # 31,030,593, as often quoted, with one class
]

# What Keras's `count_params` gives: moving averages included.
WITH_AVERAGES = {
    "VGG16": 138_357_544, "VGG19": 143_667_240, "ResNet50": 25_636_712, "ResNet101": 44_707_176,
    "ResNet50V2": 25_613_800, "ResNet101V2": 44_675_560, "ResNet152V2": 60_380_648, "Xception": 22_910_480,
    "ResNet152": 60_419_944, "MobileNet": 4_253_864, "MobileNetV2": 3_538_984, "InceptionV3": 23_851_784,
    "DenseNet121": 8_062_504, "DenseNet169": 14_307_880, "DenseNet201": 20_242_984,
}  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "cost", "trained", "giga"), PUBLISHED)
def test_published_figures(name, arguments, cost, trained, giga):
    found = figures(name, **arguments)
    assert found.trained == trained == cost.parameters
    assert found.multiply_adds == cost.multiply_adds
    if giga is not None:
        digits = len(str(giga).partition(".")[2])
        assert round(found.multiply_adds / 1e9, digits) == giga
    if name in WITH_AVERAGES and not arguments:
        assert found.parameters == WITH_AVERAGES[name]


def test_steps_in_the_large_windows_cost_more():
    v1, later = (
        applications.ResNet50(input_shape=(64, 64, 3), classes=3, version=version) for version in ("v1", "v1.5")
    )
    assert v1.count_params() == later.count_params()
    assert v1.multiply_adds(None) < later.multiply_adds(None)


def test_the_page_of_networks_is_up_to_date():
    assert (ROOT / "docs" / "applications.md").read_text() == tool.page(figures), tool.__doc__


def test_every_network_is_on_the_page():
    built = {name for name in applications.__all__ if name[0].isupper()}
    assert built == {name for name, _ in tool.NETWORKS}
    assert {name for name, *_ in PUBLISHED} == {name for name in built if "YOLO" not in name}  # which has its own tests


def test_the_examples_of_the_page_run(capsys):
    text = (ROOT / "docs" / "applications.md").read_text()
    code = "".join(block.partition("```")[0] for block in text.split("```python\n")[1:])
    with initial_weights_from(_zeros):
        exec(compile(code, "applications.md", "exec"), {})
    assert capsys.readouterr().out == "(1, 9, 5, 10)\n"


def _zeros(shape):
    return np.zeros(shape, np.float32)


# What courses teach


def test_a_residual_block_without_weights_changes_nothing(rng):
    x = layers.Input((6, 6, 16))
    given = np.abs(rng.standard_normal((2, 6, 6, 16))).astype(np.float32)
    for block, filters in ((resnet.basic_block, 16), (resnet.bottleneck_block, 4)):
        model = models.Model(x, block(x, filters, name="block"))
        for layer in model.layers:
            if isinstance(layer, layers.Conv2D):
                layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
        np.testing.assert_array_equal(model(given), given)
        np.testing.assert_array_equal(model.predict(given, verbose=0), given)


def test_the_inception_block_of_28x28x192():
    x = layers.Input((28, 28, 192))
    y = googlenet.inception_block(x, (64, 96, 128, 16, 32, 32), name="block", style="paper")
    assert y.shape == (None, 28, 28, 64 + 128 + 32 + 32)
    model = models.Model(x, y)
    costs = {layer.name: layer.multiply_adds(shape) for layer, shape, _ in model.layer_shapes()}
    assert round(28 * 28 * 32 * 5 * 5 * 192 / 1e6) == 120  # what the 5x5 windows would cost without a bottleneck
    assert round((costs["block_5x5_reduce"] + costs["block_5x5"]) / 1e6, 1) == 12.4
    assert costs["block_5x5"] == 28 * 28 * 32 * 5 * 5 * 16


def test_unet_sees_the_paper_s_sizes():
    with initial_weights_from(_zeros):
        model = applications.UNet()
        single = applications.UNet(classes=1, classifier_activation="sigmoid")
    assert model.output_shape == (None, 388, 388, 2)
    assert single.count_params() == 31_030_593
    below = next(out for layer, _, out in model.layer_shapes() if layer.name == "down4_conv2")
    assert below == (None, 28, 28, 1024)


# Arguments

SMALL = {"input_shape": (64, 64, 3), "classes": 4}


@pytest.mark.parametrize("name", ["MobileNetV2", "SqueezeNet", "GoogLeNet", "ResNet18"])
def test_pooled_features_and_images_of_any_size(name):
    build = getattr(applications, name)
    with initial_weights_from(_zeros):
        bare, avg, largest = (build(include_top=False, pooling=pooling) for pooling in (None, "avg", "max"))
    assert bare.input_shape == (None, None, None, 3)
    channels = bare.output_shape[-1]
    assert avg.output_shape == largest.output_shape == (None, channels)
    x = np.zeros((1, 70, 45, 3), np.float32)
    assert bare(x).shape[-1] == channels
    assert avg(x).shape == (1, channels)


def test_weights_from_a_file(tmp_path, rng):
    path = tmp_path / "weights.safetensors"
    model = applications.MobileNetV2(**SMALL, alpha=0.35)
    model.save_weights(path)
    again = applications.MobileNetV2(**SMALL, alpha=0.35, weights=path)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="block_1_project"):
        applications.MobileNetV2(**SMALL, alpha=0.5, weights=path)
    whole = tmp_path / "whole.safetensors"
    model.save(whole)
    x = rng.standard_normal((1, 64, 64, 3))
    np.testing.assert_array_equal(cnnfast.load_model(whole)(x), again(x))


def test_heads_in_training_and_one_output_afterwards(tmp_path, rng):
    cnnfast.utils.set_random_seed(1)
    model = applications.GoogLeNet(**SMALL, aux_logits=True)
    assert model.output_names == ["fc", "aux1_fc2", "aux2_fc2"]
    x, y = rng.standard_normal((4, 64, 64, 3)).astype(np.float32), np.arange(4)
    model.compile("sgd", ["sparse_categorical_crossentropy"] * 3, loss_weights=[1.0, 0.3, 0.3])
    logs = model.evaluate(x, [y, y, y], return_dict=True, verbose=0)
    parts = [logs[f"{name}_loss"] for name in model.output_names]
    assert logs["loss"] == pytest.approx(parts[0] + 0.3 * parts[1] + 0.3 * parts[2], rel=1e-5)
    before = model.get_layer("aux2_conv_conv").get_weights()[0]
    model.fit(x, [y, y, y], batch_size=4, verbose=0)
    assert np.any(model.get_layer("aux2_conv_conv").get_weights()[0] != before)
    trained = models.Model(model.input, model.outputs[0])
    np.testing.assert_allclose(trained.predict(x, verbose=0), model.predict(x, verbose=0)[0], rtol=1e-5, atol=1e-7)
    path = tmp_path / "trained.safetensors"
    model.save_weights(path)
    alone = applications.GoogLeNet(**SMALL, weights=path)
    np.testing.assert_array_equal(alone(x), trained(x))


def test_on_the_tensors_of_others():
    image = layers.Input((80, 80, 1))
    three = layers.Conv2D(3, 1)(image)
    model = applications.MobileNet(input_tensor=three, alpha=0.25, include_top=False, pooling="avg")
    assert model.input_shape == (None, 80, 80, 1)
    assert model.name == "mobilenet_0.25_80"
    assert model(np.zeros((1, 80, 80, 1))).shape == (1, 256)
    inner = applications.InceptionV3(input_tensor=three, include_top=False)
    assert any(layer.name.startswith("conv2d") for layer in inner.layers)


def test_a_new_head_on_frozen_features(rng):
    base = applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, pooling="avg")
    base.trainable = False
    image = cnnfast.Input((32, 32, 3))
    features = base(applications.mobilenet.preprocess_input(image), training=False)
    model = cnnfast.Model(image, layers.Dense(3, activation="softmax")(features))
    assert len(model.trainable_weights) == 2
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = base.get_weights()
    x, y = 255 * rng.random((6, 32, 32, 3)), np.arange(6) % 3
    model.fit(x, y, verbose=0)
    for a, b in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    base.trainable = True
    base.learning_rate_multiplier = 0.1
    assert {v.learning_rate_multiplier for v in base.trainable_weights} == {0.1}
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert any(np.any(a != b) for a, b in zip(before, base.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "imagenet"}, "nothing is downloaded"),
        ({"input_shape": (31, 64, 3)}, "at least 32x32"),
        ({"input_shape": (None, None, 3)}, "fixed sizes"),
        ({"input_shape": (64, 64)}, "height, width, channels"),
        ({"input_shape": (64, 64, None), "include_top": False}, "fixed number of channels"),
        ({"pooling": "mean"}, "pooling expects"),
        ({"classes": 0}, "classes expects"),
        ({"style": "caffe"}, "style expects"),
        ({"version": "v2"}, "version expects"),
    ],
)
def test_refused_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        applications.ResNet50(**arguments)


def test_refused_combinations(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        applications.VGG16(weights="nowhere.safetensors")
    with pytest.raises(TypeError, match="weights expects"):
        applications.VGG16(weights=3)
    with pytest.raises(TypeError, match="input_tensor expects"):
        applications.VGG16(input_tensor=np.zeros((1, 32, 32, 3)))
    with pytest.raises(ValueError, match="that of input_tensor"):
        applications.VGG16(input_tensor=layers.Input((40, 40, 3)), input_shape=(32, 32, 3))
    with pytest.raises(ValueError, match="aux_logits"):
        applications.GoogLeNet(include_top=False, aux_logits=True)
    with pytest.raises(ValueError, match="softmax gives 1"):
        applications.UNet(classes=1)
    with pytest.raises(ValueError, match="halved 4 times"):
        applications.UNet(input_shape=(570, 572, 1))
    with pytest.raises(ValueError, match="halved 3 times"):
        applications.UNet(input_shape=(36, 32, 1), padding="same", depth=3)
    path = tmp_path / "w.safetensors"
    applications.LeNet5().save_weights(path)
    with pytest.raises(ValueError, match="classifier_activation"):
        applications.LeNet5(weights=path, classifier_activation="sigmoid")
    with pytest.raises(ValueError, match="six numbers"):
        googlenet.inception_block(layers.Input((8, 8, 3)), (1, 2), name="b")


# Images and names


def test_modes_of_images():
    x = np.array([[[[255, 0, 51]]]], np.uint8)
    caffe = imagenet_utils.preprocess_input(x)
    np.testing.assert_allclose(caffe.ravel(), [51 - 103.939, 0 - 116.779, 255 - 123.68], rtol=1e-6)
    np.testing.assert_allclose(imagenet_utils.preprocess_input(x, mode="tf").ravel(), [1, -1, -0.6], rtol=1e-6)
    torch = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(imagenet_utils.preprocess_input(x, mode="torch").ravel(), torch, rtol=1e-5)
    first = np.moveaxis(x, -1, 1)
    for mode in ("caffe", "tf", "torch"):
        whole = imagenet_utils.preprocess_input(x, mode=mode)
        for given in (first, first[0]):
            y = imagenet_utils.preprocess_input(given, "channels_first", mode)
            np.testing.assert_array_equal(np.ravel(y), np.ravel(whole))
        symbolic = layers.Input((1, 1, 3))
        model = models.Model(symbolic, imagenet_utils.preprocess_input(symbolic, mode=mode))
        np.testing.assert_allclose(model(x.astype(np.float32)), whole, rtol=1e-6)
    with pytest.raises(ValueError, match="mode expects"):
        imagenet_utils.preprocess_input(x, mode="none")
    with pytest.raises(ValueError, match="3 channels"):
        imagenet_utils.preprocess_input(np.zeros((1, 4, 4, 1)))


def test_names_of_classes(tmp_path, monkeypatch):
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], np.float32)
    index = tmp_path / "imagenet_class_index.json"
    index.write_text(json.dumps({"0": ["n0", "cat"], "1": ["n1", "dog"], "2": ["n2", "fox"]}))
    best = imagenet_utils.decode_predictions(scores, top=2, class_names=index)
    assert [[entry[:2] for entry in row] for row in best] == [
        [("n1", "dog"), ("n2", "fox")],
        [("n0", "cat"), ("n1", "dog")],
    ]
    assert best[0][0][2] == pytest.approx(0.7)
    monkeypatch.setenv("CNNFAST_HOME", str(tmp_path))
    assert applications.resnet50.decode_predictions(scores, top=2) == best
    lines = tmp_path / "names.txt"
    lines.write_text("cat\ndog\nfox\n")
    assert imagenet_utils.decode_predictions(scores, 1, lines)[0][0][:2] == ("1", "dog")
    monkeypatch.setenv("CNNFAST_HOME", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="Nothing is downloaded"):
        imagenet_utils.decode_predictions(scores)
    with pytest.raises(ValueError, match="shape"):
        imagenet_utils.decode_predictions(scores[0], class_names=lines)
    with pytest.raises(ValueError, match="3 classes, class_names 2"):
        imagenet_utils.decode_predictions(scores, class_names=["a", "b"])
    for damage in ("{", '{"0": ["a", "b"], "2": ["c", "d"]}', "[1, 2, 3]", "3", '{"0": [1, 2], "1": [], "2": "x"}'):
        index.write_text(damage)
        with pytest.raises(ValueError, match=r"imagenet_class_index\.json: holds no names"):
            imagenet_utils.decode_predictions(scores, class_names=index)
    index.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ValueError, match="holds no names"):
        imagenet_utils.decode_predictions(scores, class_names=index)
