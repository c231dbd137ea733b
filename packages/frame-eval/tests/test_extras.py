import pytest
from sklearn import svm

from frame_eval.extras import import_extra


def test_a_module_of_an_extra_is_imported() -> None:
    assert import_extra("sklearn.svm", "scikit-learn", "SAPEvaluation") is svm


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    message = r"`SAPEvaluation` needs no-package: `pip install frame-eval\[no-package\]`"
    with pytest.raises(ModuleNotFoundError, match=message):
        import_extra("no_package.svm", "no-package", "SAPEvaluation")


def test_a_module_that_an_installed_package_lacks_is_not_mistaken_for_a_missing_package() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'sklearn\.nothing'"):
        import_extra("sklearn.nothing", "scikit-learn", "SAPEvaluation")
