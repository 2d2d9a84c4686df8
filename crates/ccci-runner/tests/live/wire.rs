//! The wire between a client and its server: every byte goes through as it is, and what is noted is how many connections
//! and exchanges there were, and how long the client had to wait for answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A place to connect to that leads on to a server.
pub(crate) struct Wire {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    talks: Arc<Mutex<Vec<Talk>>>,
}

/// What has gone over a wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    /// Questions with an answer.
    pub(crate) exchanges: usize,
    /// From the first byte of each question to the last of its answer.
    pub(crate) waited: Duration,
}

impl Seen {
    /// What came after an earlier look.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            connections: self.connections - earlier.connections,
            exchanges: self.exchanges - earlier.exchanges,
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

/// One connection: its exchanges that are over, and the one that may be.
#[derive(Default)]
struct Talk {
    past: Seen,
    asked: Option<Instant>,
    answered: Option<Instant>,
}

impl Talk {
    /// A byte after an answer begins the next question.
    fn question(&mut self) {
        if self.asked.is_none() || self.answered.is_some() {
            self.past = self.seen();
            (self.asked, self.answered) = (Some(Instant::now()), None);
        }
    }

    fn answer(&mut self) {
        self.answered = Some(Instant::now());
    }

    fn seen(&self) -> Seen {
        let Seen { exchanges, waited, .. } = self.past;
        let open = self.asked.zip(self.answered).map(|(asked, answered)| answered - asked);
        Seen {
            connections: 1,
            exchanges: exchanges + usize::from(open.is_some()),
            waited: waited + open.unwrap_or_default(),
        }
    }
}

impl Wire {
    /// A wire to this server. It is there as long as the runtime.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let talks = Arc::<Mutex<Vec<Talk>>>::default();
        let all = Arc::clone(&talks);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(server).await {
                    let number = all.lock().unwrap().len();
                    all.lock().unwrap().push(Talk::default());
                    pass(client, server, &all, number);
                }
            }
        });
        Self { port, talks }
    }

    /// All that has gone over it until now.
    pub(crate) fn seen(&self) -> Seen {
        self.talks.lock().unwrap().iter().map(Talk::seen).fold(Seen::default(), |sum, talk| Seen {
            connections: sum.connections + talk.connections,
            exchanges: sum.exchanges + talk.exchanges,
            waited: sum.waited + talk.waited,
        })
    }
}

fn pass(client: TcpStream, server: TcpStream, talks: &Arc<Mutex<Vec<Talk>>>, number: usize) {
    // Small packets must not wait for each other: that would be the wire's own time.
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (client, server) = (client.into_split(), server.into_split());
    let note = |what: fn(&mut Talk)| {
        let talks = Arc::clone(talks);
        move || what(&mut talks.lock().unwrap()[number])
    };
    tokio::spawn(copy(client.0, server.1, note(Talk::question)));
    tokio::spawn(copy(server.0, client.1, note(Talk::answer)));
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, note: impl Fn() + Send) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        note();
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    to.shutdown().await.ok();
}

/// The measurements that lean on a wire lean on this: a connection more, a question more and time of a client's own are
/// seen.
#[test]
fn what_a_client_adds_is_seen_on_its_wire() {
    const ANSWER: Duration = Duration::from_millis(40);
    const DAWDLE: Duration = Duration::from_millis(200);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (seen, whole) = runtime.block_on(async {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire::to(server.local_addr().unwrap()).await;
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                tokio::spawn(async move {
                    while let Ok(1..) = client.read(&mut [0; 8]).await {
                        ccci_core::wait::pause(ANSWER).await;
                        client.write_all(b"yes").await.unwrap();
                    }
                });
            }
        });
        let start = Instant::now();
        for questions in [2, 1] {
            let mut client = TcpStream::connect(("127.0.0.1", wire.port)).await.unwrap();
            for _ in 0..questions {
                client.write_all(b"well?").await.unwrap();
                client.read_exact(&mut [0; 3]).await.unwrap();
                ccci_core::wait::pause(DAWDLE).await;
            }
        }
        (wire.seen(), start.elapsed())
    });
    assert_eq!((seen.connections, seen.exchanges), (2, 3));
    assert!(seen.waited >= 3 * ANSWER && seen.waited + 3 * DAWDLE <= whole, "{seen:?} of {whole:?}");
}
