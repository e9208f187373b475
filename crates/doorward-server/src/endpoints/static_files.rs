//! `<prefix>/static/`: style sheets for custom templates that link the reference's file names. Our own pages carry
//! their style with them.

use doorward_net::Body;
use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};

use crate::{ingress::Arrival, respond};

const STYLE: &str = include_str!("../../assets/compat.css");

pub(crate) fn answer(file: &str, arrival: &Arrival) -> Response<Body> {
    if !matches!(arrival.facts.method, Method::GET | Method::HEAD) {
        return respond::method_not_allowed("GET, HEAD");
    }
    match file {
        "css/bulma.min.css" | "css/all.min.css" => {
            let mut response = respond::text_answer(StatusCode::OK, STYLE.into());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
            respond::uncached(response)
        }
        _ => respond::uncached(respond::text_error(StatusCode::NOT_FOUND, "404 page not found\n")),
    }
}
