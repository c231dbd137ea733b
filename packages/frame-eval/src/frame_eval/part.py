"""Evaluation of one of several jointly trained models."""

from dataclasses import replace

from frame_core import Evaluation, EvaluationView, JointModel, LogEntry, Model, Optimization, check_requirements


class PartEvaluation(Evaluation):
    """Evaluation of one of several jointly trained models.

    Args:
        part: Name of the model.
        evaluator: The evaluation of that model.
    """

    requires = JointModel

    def __init__(self, part: str, evaluator: Evaluation) -> None:
        self.part = part
        self.evaluator = evaluator
        self.evaluate_on = evaluator.evaluate_on

    def check(self, optimization: Optimization) -> None:
        """Check that the part exists and has what the evaluator requires.

        Raises:
            ValueError: There is no such part, or `check_requirements` raises it for the evaluator.
            TypeError: `check_requirements` raises it for the evaluator.
        """
        check_requirements(self.evaluator, self._get_part(optimization))

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Evaluate the part.

        Raises:
            ValueError: There is no such part.
        """
        return self.evaluator.evaluate(self._get_part(optimization))

    def _get_part(self, optimization: Optimization) -> Optimization:
        assert isinstance(optimization.model, JointModel)  # `requires`
        models = optimization.model.models
        if self.part not in models:
            raise ValueError(f"`part` must be one of {', '.join(map(repr, models))}, got {self.part!r}.")
        model = models[self.part]
        assert isinstance(model, Model)  # the constructor of `JointModel` takes no other
        if isinstance(optimization, EvaluationView):
            return replace(optimization, model=model)
        return EvaluationView(model, optimization.data, optimization.counters)
