//! Numbers as tar writes them: octal, base-256 and decimal text, each read as Go reads it.

/// Reads a numeric header field: base-256 if the highest bit is set, else octal. May be negative.
pub(super) fn numeric(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
}

/// Reads octal digits between spaces and NULs; a field of nothing else is zero.
///
/// A NUL inside ends the number and hides what follows it.
pub(super) fn octal(field: &[u8]) -> Option<i64> {
    let digits = c_string(trim(field));
    digits.iter().try_fold(0_i64, |value, &digit| match digit {
        b'0'..=b'7' => Some(value.checked_mul(8)? + i64::from(digit - b'0')),
        _ => None,
    })
}

/// Reads a two's complement number, big-endian, whose highest bit only says that it is one.
fn base256(field: &[u8]) -> Option<i64> {
    let inversion = if field[0] & 0x40 != 0 { 0xff } else { 0 };
    let mut value = 0_u64;
    for (index, &byte) in field.iter().enumerate() {
        let byte = byte ^ inversion;
        let byte = if index == 0 { byte & 0x7f } else { byte };
        if value >> 56 > 0 {
            return None;
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if inversion == 0 { value } else { !value })
}

/// Reads a decimal number with an optional sign and any number of leading zeros, nothing before or after it.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, &digit| match digit {
        b'0'..=b'9' if negative => value.checked_mul(10)?.checked_sub(i64::from(digit - b'0')),
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// Returns true if this is a time of PAX: seconds, and digits after a point.
pub(super) fn is_pax_time(text: &[u8]) -> bool {
    let point = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let (seconds, fraction) = text.split_at(point);
    decimal(seconds).is_some() && fraction.iter().skip(1).all(u8::is_ascii_digit)
}

/// Cuts at the first NUL, if there is one.
pub(super) fn c_string(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

fn trim(mut field: &[u8]) -> &[u8] {
    while let [b' ' | 0, rest @ ..] = field {
        field = rest;
    }
    while let [rest @ .., b' ' | 0] = field {
        field = rest;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base256_and_octal_read_as_the_reference_reads_them() {
        let cases: &[(&[u8], Option<i64>)] = &[
            (b"", Some(0)),
            (b"\x80", Some(0)),
            (b"\x80\x00", Some(0)),
            (b"\xbf", Some(63)),
            (b"\xbf\xff", Some(16383)),
            (b"\xff", Some(-1)),
            (b"\xff\xff", Some(-1)),
            (b"\xc0", Some(-64)),
            (b"\xc0\xff", Some(-16129)),
            (b"\x87\x76\xa2\x22\xeb\x8a\x72\x61", Some(537795476381659745)),
            (b"\x80\x00\x00\x00\x07\x76\xa2\x22\xeb\x8a\x72\x61", Some(537795476381659745)),
            (b"\xf7\x76\xa2\x22\xeb\x8a\x72\x61", Some(-615126028225187231)),
            (b"\x80\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\x80\x00\x00\x00\x00\x00\x00\x00", None),
            (b"\xff\x80\x00\x00\x00\x00\x00\x00\x00", Some(i64::MIN)),
            (b"\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
            (b"0000000\x00", Some(0)),
            (b" \x0000000000\x00", Some(0)),
            (b"0123456\x00", Some(0o123456)),
            (b"01234\x00x6", Some(0o1234)),
            (b"  777   ", Some(0o777)),
            (b"\x00\x00\x00", Some(0)),
            (b"12 34", None),
            (b"-1", None),
            (b"08", None),
        ];
        for (field, expected) in cases {
            assert_eq!(numeric(field), *expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn decimals_take_a_sign_and_leading_zeros_but_nothing_around_them() {
        let cases: &[(&[u8], Option<i64>)] = &[
            (b"0", Some(0)),
            (b"+5", Some(5)),
            (b"-5", Some(-5)),
            (b"-0", Some(0)),
            (b"00000000000000000000000000007", Some(7)),
            (b"9223372036854775807", Some(i64::MAX)),
            (b"9223372036854775808", None),
            (b"-9223372036854775808", Some(i64::MIN)),
            (b"-9223372036854775809", None),
            (b"", None),
            (b"-", None),
            (b"+-1", None),
            (b" 1", None),
            (b"1 ", None),
            (b"1_0", None),
            (b"0x10", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal(text), *expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn times_have_digits_after_the_point_and_seconds_before_it() {
        let good: &[&[u8]] = &[b"1350244992.023960108", b"1.", b"-1.5", b"+0", b"1.99999999999999999999"];
        let bad: &[&[u8]] = &[b"", b".5", b"1.2.3", b"1.-5", b"1. 5", b"0x1", b"1e5"];
        assert!(good.iter().all(|text| is_pax_time(text)));
        assert!(!bad.iter().any(|text| is_pax_time(text)));
    }
}
