"""The tape: TensorFlow's semantics, the chain rule's known values, and what must raise instead of going wrong."""

import numpy as np
import pytest

import cnnfast
from cnnfast import GradientTape, Tensor, Variable, ops
from cnnfast.autograd import is_recorded, record


def values(gradients):
    return [float(g) for g in gradients]


# The chain rule


def test_product_of_a_sum():
    x, y, z = Tensor(3.0), Tensor(1.0), Tensor(-2.0)
    with GradientTape() as tape:
        tape.watch([x, y, z])
        f = (x + y) * z
    assert float(f) == -8
    assert values(tape.gradient(f, [x, y, z])) == [-2, -2, 4]


def test_graph_of_exponential_product_and_maximum():
    x1, x2, w, y1, y2 = Tensor(0.5), Tensor(1.0), Tensor(2.0), Tensor(-2.0), Tensor(-3.5)
    with GradientTape(persistent=True) as tape:
        tape.watch([x1, x2, w, y1, y2])
        total = x1 + x2
        larger = ops.maximum(y1, y2)
        product = total * w
        f = 1 / ops.exp(-(product + larger))
    assert float(total) == 1.5
    assert float(larger) == -2
    assert round(float(f), 2) == 2.72
    found = [round(float(tape.gradient(f, x)), 2) for x in (product, total, x1, x2, w, y1, y2)]
    assert found == [2.72, 5.44, 5.44, 5.44, 4.08, 2.72, 0]


def test_addition_copies_multiplication_swaps_maximum_opens_one_path():
    x, y = Tensor(3.0), Tensor(-4.0)
    with GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        total, product, larger = x + y, x * y, ops.maximum(x, y)
    assert values(tape.gradient(total, [x, y], output_gradients=7.0)) == [7, 7]
    assert values(tape.gradient(product, [x, y])) == [-4, 3]
    assert values(tape.gradient(larger, [x, y])) == [1, 0]


def test_a_value_used_twice_gets_both_gradients():
    x = Tensor([1.0, -2.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x + x
    np.testing.assert_array_equal(tape.gradient(y, x), [3, -3])


# What is watched


def test_trainable_variables_are_watched_by_themselves():
    trained, fixed = Variable(2.0), Variable(3.0, trainable=False)
    with GradientTape() as tape:
        y = trained * fixed
    assert tape.watched_variables() == (trained,)
    assert [None if g is None else float(g) for g in tape.gradient(y, [trained, fixed])] == [3, None]


def test_watching_a_fixed_variable_gives_its_gradient():
    fixed = Variable(3.0, trainable=False)
    with GradientTape() as tape:
        tape.watch(fixed)
        y = fixed * fixed
    assert float(tape.gradient(y, fixed)) == 6


def test_variables_are_not_watched_when_asked_not_to():
    watched, other = Variable(2.0), Variable(5.0)
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        y = watched * other
    assert float(tape.gradient(y, watched)) == 5
    assert tape.watched_variables() == (watched,)


def test_a_tensor_that_is_not_watched_is_a_constant():
    x = Tensor(2.0)
    with GradientTape() as tape:
        y = x * x
    assert isinstance(y, Tensor)
    assert not is_recorded(x)
    assert tape.gradient(y, x) is None


def test_watching_an_array_raises_and_names_the_way_out():
    with GradientTape() as tape, pytest.raises(TypeError, match=r"got ndarray; wrap arrays first: x = cnnfast.Tensor"):
        tape.watch(np.ones(3))


def test_watch_takes_nested_structures():
    x, y, z = Tensor(1.0), Tensor(2.0), Tensor(3.0)
    with GradientTape() as tape:
        tape.watch({"a": x, "b": [y, (z,)]})
        f = x * y * z
    assert values(tape.gradient(f, [x, y, z])) == [6, 3, 2]


def test_stop_gradient_closes_a_path():
    x = Tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * cnnfast.stop_gradient(x) + cnnfast.stop_gradient(x * x)
    assert float(y) == 18
    assert float(tape.gradient(y, x)) == 3


def test_stop_gradient_of_a_variable_keeps_the_value_of_now():
    v = Variable([1.0, 2.0])
    stopped = cnnfast.stop_gradient(v)
    v.updated_in_place()[:] = 7
    np.testing.assert_array_equal(stopped, [1, 2])


def test_nothing_is_recorded_without_a_tape_or_a_watched_value():
    v = Variable([1.0, 2.0])
    assert isinstance(ops.exp(v), np.ndarray)
    with GradientTape() as tape:
        assert isinstance(ops.exp(np.ones(2)), np.ndarray)
        with tape.stop_recording():
            y = ops.exp(v)
            assert isinstance(y, np.ndarray)
        assert isinstance(ops.exp(v), Tensor)
    assert len(tape._nodes) == 1


# Targets, sources and their structure


def test_sources_keep_their_structure():
    x, y = Tensor(2.0), Tensor(3.0)
    with GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        f = x * y
    assert float(tape.gradient(f, x)) == 3
    assert isinstance(tape.gradient(f, (x, y)), tuple)
    found = tape.gradient(f, {"x": x, "pair": [y, {"again": x}]})
    assert float(found["x"]) == 3
    assert float(found["pair"][0]) == 2
    assert float(found["pair"][1]["again"]) == 3
    assert tape.gradient(f, []) == []


def test_gradients_of_several_targets_are_added():
    x = Tensor(2.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, z = x * x, 3 * x
    assert float(tape.gradient([y, z], x)) == 7
    assert float(tape.gradient({"y": y, "z": z}, x)) == 7
    assert float(tape.gradient([y, y], x)) == 8
    assert float(tape.gradient([y, z], x, output_gradients=[10.0, None])) == 43
    assert float(tape.gradient({"y": y, "z": z}, x, output_gradients={"z": 2, "y": 1})) == 10


def test_a_target_that_is_a_source_gets_its_output_gradient_too():
    x = Tensor([2.0, 3.0])
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = 2 * y
    np.testing.assert_array_equal(tape.gradient(x, x), [1, 1])
    found = tape.gradient(z, [x, y])
    np.testing.assert_array_equal(found[0], [8, 12])
    np.testing.assert_array_equal(found[1], [2, 2])


def test_output_gradients_weigh_the_elements():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
    np.testing.assert_array_equal(tape.gradient(y, x, output_gradients=[[1, 0], [0, -1]]), [[2, 0], [0, -8]])
    with pytest.raises(ValueError, match=r"output_gradients expects shape \(2, 2\), got \(2,\)"):
        tape.gradient(y, x, output_gradients=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"a list of one per target \(1\), got 2"):
        tape.gradient([y], x, output_gradients=[None, None])
    with pytest.raises(ValueError, match=r"a list of one per target \(1\), got no list"):
        tape.gradient([y], x, output_gradients=np.ones(1))
    with pytest.raises(ValueError, match=r"a dict with the keys of target"):
        tape.gradient({"y": y}, x, output_gradients={"z": 1.0})


def test_a_result_does_not_share_the_output_gradients_memory():
    x = Tensor([1.0, 2.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = x + 0
    seed = np.ones(2, np.float32)
    found = tape.gradient(y, x, output_gradients=seed)
    seed[:] = 9
    np.testing.assert_array_equal(found, [1, 1])


def test_unconnected_sources():
    x, y = Tensor([1.0, 2.0]), Tensor([[3.0]])
    with GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        z = x * x
    assert tape.gradient(z, y) is None
    assert tape.gradient(np.ones(3), x) is None
    np.testing.assert_array_equal(tape.gradient(z, y, unconnected_gradients="zero"), [[0]])
    with pytest.raises(ValueError, match="must be 'none' or 'zero', got 'ones'"):
        tape.gradient(z, y, unconnected_gradients="ones")


def test_a_path_past_the_source_does_not_count():
    x = Tensor(2.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y + x
    assert float(tape.gradient(z, y)) == 1
    assert float(tape.gradient(z, x)) == 5


def test_wrong_sources_and_targets_raise():
    x = Tensor(1.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
    with pytest.raises(TypeError, match="a source must be a Tensor or Variable, got ndarray"):
        tape.gradient(y, [x, np.ones(2)])
    with pytest.raises(TypeError, match="a target must be a Tensor, got NoneType"):
        tape.gradient(None, x)


# The life of a tape


def test_a_tape_is_used_once_unless_persistent():
    x = Tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
    assert float(tape.gradient(y, x)) == 6
    with pytest.raises(RuntimeError, match="only a persistent tape can be used more than once"):
        tape.gradient(y, x)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
    assert values([tape.gradient(y, x), tape.gradient(y, x)]) == [6, 6]


def test_a_tape_that_was_used_starts_afresh_when_entered_again():
    x = Tensor(3.0)
    tape = GradientTape()
    for _ in range(2):
        with tape:
            tape.watch(x)
            y = x * x
        assert float(tape.gradient(y, x)) == 6


def test_a_tape_that_was_not_used_goes_on_when_entered_again():
    x = Tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
    with tape:
        z = y * x
    assert float(tape.gradient(z, x)) == 27


def test_a_gradient_inside_the_block_ends_the_recording():
    x = Tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
        assert float(tape.gradient(y, x)) == 6
        assert not is_recorded(x)
    assert not is_recorded(x)


def test_a_persistent_tape_goes_on_recording_after_a_gradient():
    x = Tensor(3.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        assert float(tape.gradient(y, x)) == 6
        z = y * x
    assert float(tape.gradient(z, x)) == 27


def test_entering_twice_raises():
    with GradientTape() as tape, pytest.raises(RuntimeError, match="already recording"):
        tape.__enter__()
    with pytest.raises(RuntimeError, match="not recording"), tape.stop_recording():
        pass


def test_reset_forgets():
    x = Tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
        tape.reset()
    assert tape.gradient(y, x) is None


def test_an_exception_inside_the_block_ends_the_recording():
    x = Tensor(3.0)
    tape = GradientTape()
    with pytest.raises(ZeroDivisionError), tape:  # noqa: PT012 (the point is what happened before)
        tape.watch(x)
        y = x * x
        raise ZeroDivisionError
    assert not is_recorded(x)
    assert float(tape.gradient(y, x)) == 6


def test_an_exception_while_recording_is_stopped_starts_it_again():
    x = Tensor(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(ZeroDivisionError), tape.stop_recording():
            raise ZeroDivisionError
        assert is_recorded(x)


# Tapes within tapes


def test_nested_tapes_both_record():
    x, y = Tensor(2.0), Tensor(5.0)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(y)
            f = x * y
        assert float(inner.gradient(f, y)) == 2
        g = f * x
    assert float(outer.gradient(g, x)) == 20


def test_a_second_derivative_raises_instead_of_being_dropped():
    x = Tensor(2.0)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            y = x * x * x
        slope = inner.gradient(y, x)
        f = y + slope
    assert float(slope) == 12
    with pytest.raises(NotImplementedError, match="gradients of gradients are not supported"):
        outer.gradient(f, x)


def test_a_second_derivative_through_another_variable_raises():
    x, w = Tensor(2.0), Variable(3.0)
    with GradientTape() as outer:
        with GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            y = w * x
        slope = inner.gradient(y, x)
    with pytest.raises(NotImplementedError):
        outer.gradient(slope, w)


def test_a_second_derivative_through_the_output_gradients_raises():
    x, seed = Tensor(2.0), Tensor(3.0)
    with GradientTape() as outer:
        outer.watch(seed)
        with GradientTape() as inner:
            inner.watch(x)
            y = x * x
        slope = inner.gradient(y, x, output_gradients=seed)
    with pytest.raises(NotImplementedError):
        outer.gradient(slope, seed)


def test_an_inner_gradient_that_the_target_does_not_use_does_no_harm():
    x = Tensor(2.0)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        tape.gradient(y, x)
        z = y * x
    assert float(tape.gradient(z, x)) == 12


def test_large_gradients_that_meet_add_up_and_overwrite_nothing(threads):
    x = Tensor(np.linspace(-1, 1, 40_000))
    kept = []

    def keep(dy, needs):
        kept.append(dy)
        return (dy,)

    with GradientTape() as tape:
        tape.watch(x)
        y = record("kept", x.numpy().copy(), (x,), keep)
        z = x * 2.0 + y + x * x
    np.testing.assert_allclose(tape.gradient(z, x), 3 + 2 * x.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(kept[0], np.ones(40_000))


# Products that are wrong


def test_a_product_of_the_wrong_shape_raises():
    x = Tensor(np.ones((2, 3)))
    with GradientTape() as tape:
        tape.watch(x)
        y = record("broken", np.ones(3, np.float32), (x,), lambda dy, needs: (dy,))
    with pytest.raises(RuntimeError, match=r"broken: its gradient has shape \(3,\), the input has \(2, 3\)"):
        tape.gradient(y, x)


def test_gradients_are_float32_tensors():
    x = Tensor(np.ones((2, 3)))
    with GradientTape() as tape:
        tape.watch(x)
        y = record("double", np.ones((2, 3), np.float32), (x,), lambda dy, needs: (dy.astype(np.float64),))
    found = tape.gradient(y, x)
    assert isinstance(found, Tensor)
    assert found.dtype == np.float32
    assert found.shape == (2, 3)
