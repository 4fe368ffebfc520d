"""What tapes keep and for how long: threads, memory, variables that change under a recorded operation."""

import gc
import threading
import weakref

import numpy as np
import pytest

from cnnfast import GradientTape, Tensor, Variable, ops
from cnnfast.autograd import record

# Threads


def test_a_tape_records_its_own_thread_only():
    v = Variable(2.0)
    elsewhere = []
    with GradientTape() as tape:
        thread = threading.Thread(target=lambda: elsewhere.append(v * v))
        thread.start()
        thread.join()
        y = v * 3
    assert isinstance(elsewhere[0], np.ndarray)
    assert len(tape._nodes) == 1
    assert float(tape.gradient(y, v)) == 3


def test_threads_differentiate_at_the_same_time():
    v = Variable(np.arange(1, 5))
    found = {}

    def work(n):
        for _ in range(50):
            with GradientTape() as tape:
                y = ops.sum(v**n)
            found[n] = tape.gradient(y, v).numpy()

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in (1, 2, 3, 4):
        np.testing.assert_allclose(found[n], n * np.arange(1, 5.0) ** (n - 1), rtol=1e-6)


# Memory


class Kept(np.ndarray):
    """An array that a weak reference can follow."""


def watched_saver(x, saved):
    """x, with a product that keeps `saved` as an activation would be kept."""
    return record("saver", np.asarray(x).copy(), (x,), lambda dy, needs: (dy + 0 * saved,))


def test_what_an_operation_kept_is_dropped_as_it_is_consumed():
    x = Tensor(np.ones(3))
    alive_before, references = [], []

    def probe(y):
        def vjp(dy, needs):
            gc.collect()
            alive_before.append([r() is not None for r in references])
            return (dy,)

        return record("probe", y.numpy().copy(), (y,), vjp)

    with GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in range(3):
            saved = np.ones(3, np.float32).view(Kept)
            references.append(weakref.ref(saved))
            y = probe(watched_saver(y, saved))
        del saved
    tape.gradient(y, x)
    # The last operation's probe runs first, when everything lives; each later one finds one array less.
    assert alive_before == [[True, True, True], [True, True, False], [True, False, False]]
    assert [r() for r in references] == [None, None, None]


def test_a_persistent_tape_keeps_all_until_it_is_deleted():
    x = Tensor(np.ones(3))
    saved = np.ones(3, np.float32).view(Kept)
    reference = weakref.ref(saved)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = watched_saver(x, saved)
    del saved
    tape.gradient(y, x)
    assert reference() is not None
    del tape
    gc.collect()
    assert reference() is None


def test_a_constant_factor_does_not_keep_the_other_operand():
    x = Variable(np.ones(3))
    with GradientTape() as tape:
        hidden = ops.exp(x)
        reference = weakref.ref(hidden)
        y = hidden * 2
        del hidden
    gc.collect()
    assert reference() is None
    np.testing.assert_allclose(tape.gradient(y, x), 2 * np.exp(np.ones(3)), rtol=1e-6)


# Variables that change


def test_an_in_place_update_before_the_gradient_raises():
    v = Variable([1.0, 2.0], name="kernel")
    with GradientTape() as tape:
        y = v * v
    v.updated_in_place()[:] = 5
    with pytest.raises(RuntimeError, match="multiply: variable kernel was overwritten by an optimizer"):
        tape.gradient(y, v)


def test_an_assignment_before_the_gradient_does_not_disturb_it():
    v = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = v * v
    v.assign([5.0, 5.0])
    np.testing.assert_array_equal(tape.gradient(y, v), [2, 4])


@pytest.mark.parametrize("view", [lambda v: v.reshape(2, 1), lambda v: v[:1], lambda v: ops.expand_dims(v, 0)])
@pytest.mark.parametrize("recording", [False, True])
def test_a_view_of_a_variable_does_not_share_its_memory(view, recording):
    v = Variable([1.0, 2.0])
    if recording:
        with GradientTape():
            y = view(v)
    else:
        y = view(v)
    v.updated_in_place()[:] = 5
    assert np.asarray(y).ravel()[0] == 1
