import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.units import (
    format_duration,
    format_memory,
    format_size,
    format_time,
    parse_duration,
    parse_future,
    parse_past,
    parse_size,
    parse_time,
    short_duration,
)

milliseconds = st.integers(min_value=0, max_value=1000 * 365 * 86_400_000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("12h", 43200),
        ("7d", 604800),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1s250ms", 1.25),
        ("0s", 0),
        ("365000d", 365000 * 86400),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "7", "0", "s", "7 d", "-1s", "+1s", "1e3s", "1s.", "1y", "7D", "infs", "nan", "1,5h", "٣s", "1h 30m", "1s\n"],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='is not a duration: write a number and its unit, like "90s"') as error:
        parse_duration(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["365001d", "9" * 400 + "s"])
def test_a_duration_beyond_a_thousand_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is longer than a thousand years"):
        parse_duration(text)


@given(milliseconds)
def test_a_formatted_duration_means_the_same_number(count: int) -> None:
    seconds = count / 1000
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.decimals(min_value=0, max_value=50_000, places=6), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
def test_any_duration_that_was_read_survives_being_written_and_read_again(number: object, unit: str) -> None:
    seconds = parse_duration(f"{number:f}{unit}")
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0 <= seconds < math.inf


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90, "1m30s"), (5400, "1h30m"), (604800, "7d"), (0.25, "250ms")]
)
def test_a_duration_is_written_in_its_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.9, "0s"), (-5, "0s"), (59, "59s"), (60, "1m"), (11545, "3h 12m"), (86400 * 9 + 3600, "9d 1h")],
)
def test_a_duration_for_reading_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000),
        ("20GiB", 20 * 1024**3),
        ("1.5kB", 1500),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("0B", 0),
        ("3 TB", 3 * 1000**4),
        ("1TiB", 1024**4),
        ("8G", 8 * 1024**3),
        ("512m", 512 * 1024**2),
        ("4k", 4096),
    ],
)
def test_a_size_is_a_number_with_a_decimal_or_binary_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "500", "MB", "500mb", "500b", "1kiB", "-1B", "1 000B", "1PB", "infB", "50%"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='is not a size: write a number and its unit, like "500MB"') as error:
        parse_size(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["1000001TB", "9" * 400 + "TB"])
def test_a_size_beyond_an_exabyte_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is more than an exabyte"):
        parse_size(text)


@given(st.text(alphabet="0123456789.kKMGTiB ", max_size=12) | st.text())
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        size = parse_size(text)
    except ValueError:
        return
    assert size >= 0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (999.6, "1kB"),
        (1000, "1kB"),
        (1_240_000_000, "1.24GB"),
        (999_999, "1MB"),
        (123_456_789, "123MB"),
        (12 * 1000**4, "12TB"),
        (1500 * 1000**4, "1500TB"),
    ],
)
def test_a_size_is_written_as_dockers_commands_do(size: float, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(min_value=0, max_value=1000**6))
def test_a_written_size_is_right_to_three_digits(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.005)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-01-31T04:00:00Z", 1769832000.0),
        ("2026-01-31T05:00:00+01:00", 1769832000.0),
        ("2026-01-30T20:30:00-07:30", 1769832000.0),
        ("2026-01-31T04:00:00.5Z", 1769832000.5),
        ("2026-01-31T04:00:00.123456789Z", 1769832000.123456),
        ("2026-01-31T04:00:00.123456789+00:00", 1769832000.123456),
        ("0001-01-01T00:00:00Z", -62135596800.0),
        ("0001-01-01T00:00:00+14:00", -62135596800.0 - 14 * 3600),
    ],
)
def test_a_time_is_rfc_3339_with_any_offset_and_any_fraction(text: str, moment: float) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize("text", ["", "now", "2026-01-31T25:00:00Z", "2026-02-30T00:00:00Z", "12345678901"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='is not a time: write one like "2026-01-31T04:00:00Z"'):
        parse_time(text)


def test_a_time_without_an_offset_is_refused_since_it_could_be_any_zones() -> None:
    with pytest.raises(ValueError, match="has no offset from UTC"):
        parse_time("2026-01-31T04:00:00")


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 - hypothesis wants them
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_a_written_time_is_read_as_the_same_second(naive: datetime, offset: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_time(moment.isoformat()) == moment.timestamp()
    whole = math.floor(moment.timestamp())
    assert parse_time(format_time(whole)) == whole
    assert format_time(whole) == datetime.fromtimestamp(whole, UTC).isoformat().replace("+00:00", "Z")


@given(st.text())
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        parse_time(text)
    except ValueError:
        return


def test_what_is_past_is_a_time_or_a_duration_ago() -> None:
    assert parse_past("7d", 1_000_000.0) == 1_000_000.0 - 7 * 86400
    assert parse_past("1970-01-02T00:00:00Z", 1_000_000.0) == 86400
    assert parse_past("1970-01-02", 1_000_000.0) == 86400
    assert parse_past("2026-07-01", 0.0, "Europe/Berlin") == parse_time("2026-07-01T00:00:00+02:00")
    assert parse_past("2026-01-01", 0.0, "America/New_York") == parse_time("2026-01-01T00:00:00-05:00")


def test_a_time_to_come_is_a_time_or_a_duration_ahead() -> None:
    assert parse_future("7d", 1_000_000.0) == parse_future("+7d", 1_000_000.0) == 1_000_000.0 + 7 * 86400
    assert parse_future("2026-07-01", 0.0, "Europe/Berlin") == parse_time("2026-07-01T00:00:00+02:00")
    with pytest.raises(ValueError, match='a duration like "7d"'):
        parse_future("7 days", 0.0)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "2026-1-1", "2026-01-01T04:00", "20260101", "7"])
def test_what_is_no_past_is_refused_with_an_example_of_each_form(text: str) -> None:
    with pytest.raises(ValueError, match='a duration like "7d", a date like "2027-01-31" nor a time like "2027-'):
        parse_past(text, 0.0)


def test_a_time_beyond_all_calendars_is_written_as_the_last_one() -> None:
    assert format_time(parse_time("9999-12-31T23:59:59-14:00")) == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (512, "512B"), (2048, "2KiB"), (512 * 1024**2, "512MiB"), (1.5 * 1024**3, "1.5GiB"), (1023.9, "1KiB")],
)
def test_memory_is_written_in_binary_units(size: float, text: str) -> None:
    assert format_memory(size) == text
