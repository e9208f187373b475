//! From a verdict to a `CheckResponse`.

use std::collections::HashSet;

use bytes::Bytes;
use envoy_types::{
    ext_authz::v3::pb::{
        CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue as Header, HeaderValueOption,
        HttpResponse, HttpStatus, OkHttpResponse, QueryParameter,
    },
    pb::google::rpc::Status,
};
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use crate::{Changes, Verdict};

/// `google.rpc.Code`.
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;

pub(crate) fn write(verdict: Verdict) -> CheckResponse {
    let (code, response) = match verdict {
        Verdict::Allowed(changes) => (OK, HttpResponse::OkResponse(allowed(changes))),
        Verdict::Denied(answer) => {
            let code = match answer.status() {
                StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
                _ => PERMISSION_DENIED,
            };
            (code, HttpResponse::DeniedResponse(denied(answer)))
        }
    };
    let status = Status { code, ..Status::default() };
    CheckResponse { status: Some(status), http_response: Some(response), ..CheckResponse::default() }
}

fn allowed(changes: Changes) -> OkHttpResponse {
    let Changes { set, remove, set_query, remove_query, on_answer } = changes;
    let mut begun = HashSet::new();
    let headers = set.into_iter().map(|(name, value)| {
        // The first value replaces what the client sent, the others stand beside it.
        let first = begun.insert(name.clone());
        let action = if first {
            HeaderAppendAction::OverwriteIfExistsOrAdd
        } else {
            HeaderAppendAction::AppendIfExistsOrAdd
        };
        header(&name, &value, action)
    });
    let headers: Vec<_> = headers.collect();
    OkHttpResponse {
        headers,
        headers_to_remove: remove.iter().map(|name| name.as_str().to_owned()).collect(),
        response_headers_to_add: on_answer
            .iter()
            .map(|(name, value)| header(name, value, HeaderAppendAction::AppendIfExistsOrAdd))
            .collect(),
        query_parameters_to_set: set_query
            .into_iter()
            .map(|(key, value)| QueryParameter { key, value })
            .collect(),
        query_parameters_to_remove: remove_query,
        ..OkHttpResponse::default()
    }
}

fn denied(answer: Response<Bytes>) -> DeniedHttpResponse {
    let (parts, content) = answer.into_parts();
    let lines =
        parts.headers.iter().filter(|(name, _)| **name != CONTENT_LENGTH && **name != TRANSFER_ENCODING);
    DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(parts.status.as_u16()) }),
        headers: lines
            .map(|(name, value)| header(name, value, HeaderAppendAction::AppendIfExistsOrAdd))
            .collect(),
        body: String::from_utf8_lossy(&content).into_owned(),
    }
}

fn header(name: &HeaderName, value: &HeaderValue, action: HeaderAppendAction) -> HeaderValueOption {
    let mut header = Header { key: name.as_str().to_owned(), ..Header::default() };
    match value.to_str() {
        Ok(text) => text.clone_into(&mut header.value),
        Err(_) => header.raw_value = value.as_bytes().to_vec(),
    }
    HeaderValueOption { header: Some(header), append_action: action.into(), ..HeaderValueOption::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_sent_is_replaced_and_several_values_stay() {
        let name = HeaderName::from_static("x-remote-group");
        let changes = Changes {
            set: vec![
                (name.clone(), HeaderValue::from_static("a")),
                (name.clone(), HeaderValue::from_static("b")),
            ],
            remove: vec![HeaderName::from_static("authorization")],
            remove_query: vec!["token".to_owned()],
            ..Changes::default()
        };
        let response = write(Verdict::Allowed(changes));
        assert_eq!(response.status.unwrap().code, OK);
        let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("allowed") };
        let actions: Vec<i32> = ok.headers.iter().map(|line| line.append_action).collect();
        let expected = [HeaderAppendAction::OverwriteIfExistsOrAdd, HeaderAppendAction::AppendIfExistsOrAdd]
            .map(i32::from);
        assert_eq!(actions, expected);
        assert_eq!(ok.headers_to_remove, ["authorization"]);
        assert_eq!(ok.query_parameters_to_remove, ["token"]);
    }

    #[test]
    fn a_denial_is_the_answer_to_the_client() {
        for (status, code) in [(401_u16, UNAUTHENTICATED), (302, PERMISSION_DENIED), (503, PERMISSION_DENIED)]
        {
            let answer = Response::builder()
                .status(status)
                .header("set-cookie", "a=1")
                .header("set-cookie", "b=2")
                .header("content-length", "4")
                .body(Bytes::from_static(b"body"))
                .unwrap();
            let response = write(Verdict::Denied(answer));
            assert_eq!(response.status.unwrap().code, code);
            let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else { panic!("denied") };
            assert_eq!((denied.status.unwrap().code, denied.body.as_str()), (i32::from(status), "body"));
            assert_eq!(denied.headers.len(), 2);
        }
    }
}
