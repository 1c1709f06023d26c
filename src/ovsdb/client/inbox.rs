//! What has come from the server and was not taken yet.
//!
//! Owns reading, and the one buffer that it fills. The connection's own task reads, but while its thread is busy with something
//! else another one does: a unix socket holds some 200 kB (socket(7), `wmem_default`), and ovsdb-server does nothing else for a
//! client that has not taken its last reply. One message is read so, as it has to be in memory anyway: more would be beside it.
//! May not touch what messages mean. Invariant: whoever reads does so under the lock, so that bytes stay in their order.

use std::future::poll_fn;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::{Bytes, BytesMut};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::codec::Decoder;

use super::frame::{FrameDecoder, FrameError};

/// A read is offered at least this much room. In bytes.
const LEAST_ROOM: usize = 4096;
/// What is read ahead at a time: as much as a unix socket holds. In bytes.
const AT_A_TIME: usize = 208 << 10;

/// What comes next.
#[derive(Debug)]
pub(super) enum Came {
    /// A message.
    Frame(Bytes),
    /// Some bytes of one.
    Some,
    /// The server has closed the connection.
    End {
        /// Whether a message is incomplete.
        amid: bool,
    },
}

/// What is there.
#[derive(Debug)]
pub(super) struct Inbox {
    /// The socket, if others than the connection's own task can read from it.
    socket: Option<UnixStream>,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    buffer: BytesMut,
    decoder: FrameDecoder,
    /// What reading ahead has come to.
    ahead: Option<Result<Bytes, FrameError>>,
    /// The task that waits for more.
    waker: Option<Waker>,
}

/// A lock with which nobody panics; if somebody does, what is behind it is whole all the same.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inbox {
    /// An empty one, for messages of up to `largest` bytes.
    pub(super) fn new(socket: Option<UnixStream>, largest: usize) -> Self {
        let (buffer, decoder) = (BytesMut::new(), FrameDecoder::new(largest));
        Self { socket, content: Mutex::new(Content { buffer, decoder, ahead: None, waker: None }) }
    }

    /// What comes next, by `read`. Cancel-safe.
    pub(super) async fn next(
        &self,
        read: &mut (impl AsyncRead + Unpin),
    ) -> Result<Came, FrameError> {
        poll_fn(|context| lock(&self.content).poll(read, context)).await
    }

    /// Does some work while another thread reads up to the end of the next message.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some((socket, (end, seen))) = self.socket.as_ref().zip(UnixStream::pair().ok()) else {
            return work();
        };
        let done = thread::scope(|scope| {
            let reader = thread::Builder::new().name("read-ahead".to_owned());
            // Without it the server has to wait, no more.
            let _ = reader.spawn_scoped(scope, move || self.read_ahead(socket, &seen));
            // Closed when the work has ended, however it has.
            let _end = end;
            work()
        });
        // What was read there wakes nobody.
        if let Some(waker) = lock(&self.content).waker.take() {
            waker.wake();
        }
        done
    }

    /// Reads until a message is whole, the other end of `end` is closed, or there is nothing more to read.
    fn read_ahead(&self, mut socket: &UnixStream, end: &UnixStream) {
        let mut room = [0; AT_A_TIME];
        while lock(&self.content).look_ahead().is_none() && comes(socket, end) {
            let mut content = lock(&self.content);
            match socket.read(&mut room).map(|count| room.get(..count).unwrap_or_default()) {
                // Whoever reads next is told so, too.
                Ok([]) => return,
                Ok(bytes) => content.append(bytes),
                // The task was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => content.ahead = Some(Err(error.into())),
            }
        }
    }
}

impl Content {
    fn poll(
        &mut self,
        read: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<Result<Came, FrameError>> {
        if let Some(ahead) = self.look_ahead().take() {
            return Poll::Ready(ahead.map(Came::Frame));
        }
        FrameDecoder::make_room(&mut self.buffer, LEAST_ROOM);
        let read = pin!(read.read_buf(&mut self.buffer)).poll(context);
        if read.is_pending() {
            self.waker = Some(context.waker().clone());
        }
        read.map(|count| match count? {
            0 => Ok(Came::End { amid: !self.buffer.is_empty() }),
            _ => Ok(Came::Some),
        })
    }

    /// The next message, if it is whole; or why there will be none.
    fn look_ahead(&mut self) -> &mut Option<Result<Bytes, FrameError>> {
        if self.ahead.is_none() {
            self.ahead = self.decoder.decode(&mut self.buffer).transpose();
        }
        &mut self.ahead
    }

    fn append(&mut self, bytes: &[u8]) {
        FrameDecoder::make_room(&mut self.buffer, bytes.len());
        self.buffer.extend_from_slice(bytes);
    }
}

/// Waits until something can be read, or the other end of `end` is closed; whether only the former is so.
fn comes(socket: &UnixStream, end: &UnixStream) -> bool {
    let on = |of| PollFd::new(of, PollFlags::POLLIN);
    let mut both = [on(socket.as_fd()), on(end.as_fd())];
    // A signal comes to nothing: it is for the programme.
    poll(&mut both, PollTimeout::NONE).is_ok()
        && both.map(|it| it.any()) == [Some(true), Some(false)]
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::time::{Duration, Instant};

    use super::*;

    /// What is waited for comes within this time.
    const LIMIT: Duration = Duration::from_secs(30);
    /// What a socket does not hold.
    const LARGE: usize = 2 << 20;

    /// An inbox, and how its own task reads; and the server's end.
    fn connection() -> (Inbox, tokio::net::UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let inbox = Inbox::new(Some(ours.try_clone().unwrap()), 64 << 20);
        (inbox, tokio::net::UnixStream::from_std(ours).unwrap(), theirs)
    }

    fn message(size: usize) -> String {
        format!("{{\"{}\"}}", "x".repeat(size - 4))
    }

    async fn frame(inbox: &Inbox, read: &mut tokio::net::UnixStream) -> Bytes {
        let came = async {
            loop {
                match inbox.next(read).await.unwrap() {
                    Came::Frame(frame) => return frame,
                    Came::Some => {}
                    Came::End { .. } => panic!("the connection has ended"),
                }
            }
        };
        tokio::time::timeout(LIMIT, came).await.unwrap()
    }

    /// Writes what the socket takes of `rest`.
    fn push(server: &mut UnixStream, rest: &mut &[u8]) {
        server.set_nonblocking(true).unwrap();
        while !rest.is_empty() {
            match server.write(rest) {
                Ok(count) => *rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until a message is ahead.
    fn wait(inbox: &Inbox, mut meanwhile: impl FnMut()) {
        let begin = Instant::now();
        while lock(&inbox.content).ahead.is_none() {
            assert!(begin.elapsed() < LIMIT, "nothing is read");
            meanwhile();
            thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_server_need_not_wait_for_one_that_is_busy() {
        let (inbox, mut read, mut server) = connection();
        let (first, second) = (message(LARGE), message(1000));
        let mut rest = first.as_bytes();
        push(&mut server, &mut rest);
        let left = rest.len();
        assert!(left > 0, "a socket holds so much");
        push(&mut server, &mut rest);
        assert_eq!(rest.len(), left, "somebody reads");
        inbox.during(|| {
            let begin = Instant::now();
            while !rest.is_empty() {
                assert!(begin.elapsed() < LIMIT, "{} bytes are not taken", rest.len());
                push(&mut server, &mut rest);
            }
        });
        server.write_all(second.as_bytes()).unwrap();
        assert_eq!(frame(&inbox, &mut read).await, first);
        assert_eq!(frame(&inbox, &mut read).await, second);
    }

    #[tokio::test]
    async fn one_message_is_read_ahead() {
        let (inbox, mut read, mut server) = connection();
        let (first, second) = (message(LARGE), message(LARGE + 1));
        let both = format!("{first}{second}");
        let mut rest = both.as_bytes();
        inbox.during(|| wait(&inbox, || push(&mut server, &mut rest)));
        push(&mut server, &mut rest);
        assert!(rest.len() > LARGE / 2, "more was taken");
        assert_eq!(frame(&inbox, &mut read).await, first);
        inbox.during(|| {
            while !rest.is_empty() {
                push(&mut server, &mut rest);
            }
        });
        assert_eq!(frame(&inbox, &mut read).await, second);
    }

    #[tokio::test]
    async fn a_task_that_waits_is_told_of_what_was_read_for_it() {
        let (inbox, mut read, mut server) = connection();
        let text = message(1000);
        // It waits once before.
        let early = tokio::time::timeout(Duration::ZERO, inbox.next(&mut read)).await;
        assert!(early.is_err(), "{early:?}");
        let begin = Instant::now();
        let waiting = async { frame(&inbox, &mut read).await };
        let busy = async {
            inbox.during(|| {
                server.write_all(text.as_bytes()).unwrap();
                wait(&inbox, || {});
            });
        };
        let (frame, ()) = tokio::join!(waiting, busy);
        assert_eq!(frame, text);
        assert!(begin.elapsed() < LIMIT, "only the limit woke it");
    }

    #[tokio::test]
    async fn an_end_that_comes_meanwhile_is_told_after_what_came_before() {
        let (inbox, mut read, mut server) = connection();
        inbox.during(|| {
            server.write_all(b"{}{\"amid").unwrap();
            drop(server);
            wait(&inbox, || {});
        });
        assert_eq!(frame(&inbox, &mut read).await, "{}");
        while matches!(inbox.next(&mut read).await, Ok(Came::Some)) {}
        assert!(matches!(inbox.next(&mut read).await, Ok(Came::End { amid: true })));
    }

    #[tokio::test]
    async fn without_a_socket_to_share_the_work_is_done_all_the_same() {
        let inbox = Inbox::new(None, 100);
        assert_eq!(inbox.during(|| 7), 7);
    }
}
