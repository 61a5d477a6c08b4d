//! The one file of a browser's form (RFC 7578): its only part.

use std::ops::Range;

/// Where the part's content lies in the body; none where it is no form with one part.
pub(in crate::dashboard) fn only_part(content_type: &str, body: &[u8]) -> Option<Range<usize>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("boundary");
        is_it.then(|| value.trim().trim_matches('"'))
    })?;
    let opening = format!("--{boundary}\r\n");
    if boundary.is_empty() || !body.starts_with(opening.as_bytes()) {
        return None;
    }
    // Headers of a part are short; what comes later is content.
    let head = body.get(..body.len().min(opening.len() + 4096))?;
    let start = find(head, b"\r\n\r\n")? + 4;
    let closing = format!("\r\n--{boundary}--");
    let tail_from = body.len().saturating_sub(closing.len() + 256).max(start);
    let tail = body.get(tail_from..)?;
    let end = tail_from + find(tail, closing.as_bytes())?;
    (end >= start).then_some(start..end)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_out_as_it_was() {
        let content = b"\0asm\r\n--X\r\nmore\r\n";
        let body = [
            &b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wasm\"\r\nContent-Type: application/wasm\r\n\r\n"[..],
            content,
            b"\r\n--X--\r\n",
        ]
        .concat();
        for kind in [
            "multipart/form-data; boundary=X",
            "multipart/form-data; charset=utf-8; boundary=\"X\"",
        ] {
            let range = only_part(kind, &body).unwrap();
            assert_eq!(&body[range], content, "{kind}");
        }
        for (kind, body) in [
            ("application/wasm", &body[..]),
            ("multipart/form-data", &body[..]),
            ("multipart/form-data; boundary=Y", &body[..]),
            ("multipart/form-data; boundary=X", &body[..20]),
            ("multipart/form-data; boundary=X", b"--X\r\n\r\n\r\n"),
            ("multipart/form-data; boundary=X", b""),
        ] {
            assert_eq!(only_part(kind, body), None, "{kind}");
        }
    }
}
