//! Who asks, and whether it may: before any endpoint is reached.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio::time;
use tracing::{info, warn};

use super::error::{ApiError, EarlyRefusal};
use super::failures::Failed;
use super::service::{Caller, Service};
use super::tokens::{Credentials, Token};
use super::{MOST_FAILURES, REQUEST_TIME};
use crate::control::{Refused, shown};
use crate::listen::Client;

/// Admits a token to what follows, as often as its rate allows; reports what is refused of it.
pub(super) async fn admitted(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = match login(&service, &request) {
        Ok(token) => token,
        Err(error) => return error.into_response(),
    };
    let caller = Caller::of(token);
    let changes = !request.method().is_safe();
    let what = format!("{} {}", request.method(), request.uri().path());
    let rate = service.tokens.borrow().rate;
    let taken = service.rates.take(&caller.token.name, rate, Instant::now());
    let allowed = taken
        .map_err(|wait| {
            let message = format!(
                "token {} has asked too often: {} a second are allowed, and {} at once",
                caller.token.name, rate.per_second, rate.burst
            );
            ApiError::too_many(wait.as_secs() + 1, message)
        })
        .and_then(|()| caller.may(request.method()));
    let response = match allowed {
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            match time::timeout(REQUEST_TIME, next.run(request)).await {
                Ok(response) => response,
                Err(_) => ApiError::unavailable("the daemon is busy; ask again").into_response(),
            }
        }
        Err(error) => error.into_response(),
    };
    if let (true, Some(EarlyRefusal(why))) = (changes, response.extensions().get()) {
        service.audit.refused(Refused {
            actor: caller.actor,
            what: shown(&what),
            why: shown(why),
            project: caller.token.project.clone(),
        });
    }
    response
}

fn login(service: &Service, request: &Request) -> Result<Arc<Token>, ApiError> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credentials = header.and_then(Credentials::parse);
    let found =
        credentials.and_then(|shown| service.tokens.borrow().find(&shown, Timestamp::now()));
    if let Some(token) = found {
        return Ok(token);
    }
    // A request without any is asked for them; that is no guess.
    if header.is_none() {
        return Err(ApiError::login());
    }
    let client = request.extensions().get::<Client>().copied();
    let site = client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Client::site);
    match service.failures.add(site, Instant::now()) {
        Failed::Told(count) => {
            if count == 1 {
                info!("[api] a login from {site} has failed");
            }
            if count == MOST_FAILURES {
                warn!(
                    "[api] {count} logins from {site} have failed within a minute; further ones are refused"
                );
            }
            Err(ApiError::login())
        }
        Failed::Wait(seconds) => Err(ApiError::too_many(
            seconds,
            format!("{MOST_FAILURES} logins from this address have failed within a minute"),
        )),
    }
}
