import pytest

from doubles import DisturbingEvaluation
from frame_train.callbacks import CumulativeLogCallback, EvaluationCallback
from trainers import ignore_lightning_warnings, make_tiny_optimization

pytestmark = ignore_lightning_warnings


def test_an_unknown_unit_is_reported_before_training() -> None:
    optimization = make_tiny_optimization()
    with pytest.raises(ValueError, match="got '5 critic_steps'"):
        EvaluationCallback("A", "5 critic_steps", DisturbingEvaluation()).check(optimization)
    with pytest.raises(ValueError, match="got '5 critic_steps'"):
        CumulativeLogCallback("5 critic_steps").check(optimization)
