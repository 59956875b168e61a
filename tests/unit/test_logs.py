import structlog

from image_retrieval import logs


def test_a_traceback_in_the_log_shows_no_variables(capsys):
    logs.configure("text")

    def fails(password):
        raise RuntimeError("it fails")

    try:
        fails("hidden" + "-letters")
    except RuntimeError as error:
        structlog.get_logger().error("failed", exc_info=error)
    told = capsys.readouterr().err
    assert "it fails" in told
    assert "hidden-letters" not in told
