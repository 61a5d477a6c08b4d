//! Exchanges in which the beginning of the answer's body is enough.

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::{
    Egress, Error, Exchange, HeaderMap, Limits, Method, Request, Response, check_answer_headers,
    failure,
};

impl Egress {
    /// Like [`Self::send`], but what of the answer's body is larger than its limit, or later than
    /// the time for the whole, is left unread: an answer counts once its headers are there.
    ///
    /// # Errors
    /// As for [`Self::send`], except [`Error::TooLarge`].
    pub async fn send_briefly(&self, request: Request, limits: &Limits) -> Result<Response, Error> {
        let exchange = Exchange::begin(&request);
        let start = Instant::now();
        let outcome = self.brief(request, limits, start + limits.total).await;
        let (status, bytes) = match &outcome {
            Ok(response) => (Some(response.status), response.body.len()),
            Err(_) => (None, 0),
        };
        let error = outcome.as_ref().err();
        exchange.end(start.elapsed(), status, bytes, error).log();
        outcome
    }

    async fn brief(
        &self,
        request: Request,
        limits: &Limits,
        end: Instant,
    ) -> Result<Response, Error> {
        let (host, outgoing) = self.outgoing(request, limits.max_request_bytes)?;
        let answer = timeout_at(end, outgoing.send()).await;
        let answer = answer.map_err(|_| Error::Timeout)?;
        let mut answer = answer.map_err(|error| failure(&host, &error))?;
        check_answer_headers(&host, answer.headers())?;
        let status = answer.status().as_u16();
        let headers = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while body.len() < limits.max_response_bytes {
            let Ok(Ok(Some(chunk))) = timeout_at(end, answer.chunk()).await else {
                break;
            };
            let room = limits.max_response_bytes - body.len();
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        }
        Ok(Response {
            status,
            headers,
            body: body.freeze(),
        })
    }
}

impl Egress {
    /// Whether a URL may be called at all, as far as that can be told without asking a name server:
    /// its form, and its address where it has a literal one. The rest is checked at every call.
    ///
    /// # Errors
    /// [`Error::Denied`] or [`Error::Invalid`], saying why.
    pub fn permits(&self, url: &Url) -> Result<(), Error> {
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: None,
        };
        match self.outgoing(request, 0) {
            // That trusted certificates are missing here is nothing the URL can help.
            Ok(_) | Err(Error::Unreachable(_)) => {}
            Err(error) => return Err(error),
        }
        let is_name = matches!(url.host(), Some(Host::Domain(_)));
        if is_name && url.scheme() == "http" && self.0.guard.0.allow_private.is_empty() {
            let text = "http:// is not encrypted; use https://, or an operator can allow a private \
                        network with egress.allow_private";
            return Err(Error::Denied(text.to_owned()));
        }
        Ok(())
    }
}
