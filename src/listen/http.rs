//! One connection of HTTP/1.1, within limits of time.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time;
use tracing::debug;

/// Read buffer of one connection, in bytes; bodies pass through it piece by piece.
const BUFFER_BYTES: usize = 64 * 1024;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpTimes {
    /// To send a request's head, and to stay idle between requests.
    pub(crate) head: Duration,
    /// For one request, from its head to its answer.
    pub(crate) request: Duration,
}

/// Serves a connection to its end: after its time once the current request is answered, and after
/// twice that time in any case, for a client that does not read. An event stream lasts as long as its
/// client wants: what that does not read waits nowhere.
pub(crate) async fn serve_http<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    service: S,
    times: HttpTimes,
    is_stream: impl Fn() -> bool,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let most = times.request;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = match time::timeout(most, connection.as_mut()).await {
        Ok(served) => served,
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            match time::timeout(most, connection.as_mut()).await {
                Ok(served) => served,
                Err(_) if is_stream() => connection.await,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use futures_util::{StreamExt, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::runtime::Builder;
    use tokio::time;

    use hyper_util::service::TowerToHyperService;

    use super::{HttpTimes, serve_http};

    /// How much a client reads of an answer that is larger than any buffer.
    fn read_of(most: Duration, client: impl AsyncFnOnce(&mut UnixStream)) -> usize {
        const ANSWER: usize = 8 << 20;
        let router = Router::new().route("/", get(|| async { vec![b'x'; ANSWER] }));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut stream, served) = UnixStream::pair().unwrap();
            let serving = tokio::spawn(serve_http(
                served,
                TowerToHyperService::new(router),
                HttpTimes { head: most, request: most },
                || false,
            ));
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            client(&mut stream).await;
            let mut answer = Vec::new();
            // The connection ends, with an error or without.
            let _ = stream.read_to_end(&mut answer).await;
            time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
            answer.len().min(ANSWER)
        })
    }

    #[test]
    fn a_client_that_does_not_read_is_hung_up_on() {
        let most = Duration::from_millis(50);
        let read = read_of(most, async |_| time::sleep(most * 20).await);
        assert!(read < 8 << 20, "{read} bytes");
    }

    /// How much a client reads of an answer that takes many times as long as a request may.
    fn read_of_stream(is_stream: bool) -> usize {
        const PARTS: u64 = 40;
        let most = Duration::from_millis(20);
        let router = Router::new().route(
            "/",
            get(move || async move {
                let parts = stream::iter(0..PARTS).then(move |_| async move {
                    time::sleep(most / 2).await;
                    Ok::<_, Infallible>("x")
                });
                Body::from_stream(parts)
            }),
        );
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut client, served) = UnixStream::pair().unwrap();
            let serving = tokio::spawn(serve_http(
                served,
                TowerToHyperService::new(router),
                HttpTimes { head: most, request: most },
                move || is_stream,
            ));
            client.write_all(b"GET / HTTP/1.1\r\nHost: y\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
            let answer = String::from_utf8_lossy(&answer);
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            body.matches('x').count()
        })
    }

    #[test]
    fn an_event_stream_lasts_and_ends_its_connection() {
        assert_eq!(read_of_stream(true), 40);
        assert!(read_of_stream(false) < 40, "what is no stream has an end");
    }

    #[test]
    fn a_request_that_is_being_answered_is_answered() {
        // No further request comes, so the connection ends when its time is over.
        assert_eq!(read_of(Duration::from_secs(1), async |_| ()), 8 << 20);
    }
}
