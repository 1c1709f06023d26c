//! Listeners on the network: addresses, TLS, certificates that are replaced, and limits.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Extension, Router};
use ovn_peerd::declare::ListenSettings;
use ovn_peerd::listen::{Client, Limits, Listener, Serving};

use crate::http::{Http, read_answer};
use crate::pki::Pki;
use crate::running::wait_for;

fn router() -> Router {
    Router::new().route(
        "/who",
        get(|Extension(client): Extension<Client>| async move { client.address.to_string() }),
    )
}

fn loopback() -> ListenSettings {
    ListenSettings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..ListenSettings::default() }
}

fn with_tls(pki: &Pki, client_ca: bool) -> ListenSettings {
    ListenSettings {
        certificate: Some(pki.file("server", "crt")),
        private_key: Some(pki.file("server", "key")),
        client_ca: client_ca.then(|| pki.file("ca", "crt")),
        ..loopback()
    }
}

fn serve(settings: &ListenSettings, limits: Limits) -> (Serving, SocketAddr) {
    let serving = Listener::bind("[api]", settings).unwrap().serve(router(), limits).unwrap();
    let address = serving.addresses()[0];
    (serving, address)
}

#[test]
fn loopback_is_served_in_both_families_until_it_is_dropped() {
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let settings = ListenSettings { listen, ..ListenSettings::default() };
    let (serving, _) = serve(&settings, Limits::default());
    for (address, own) in serving.addresses().iter().zip(["127.0.0.1", "::1"]) {
        let answer = Http::plain(*address).send("GET", "/who", &[], None);
        assert_eq!((answer.status, answer.text()), (200, own.to_owned()));
        assert_eq!(Http::plain(*address).send("GET", "/other", &[], None).status, 404);
    }
    let taken = ListenSettings { listen: serving.addresses().to_vec(), ..settings };
    let error = Listener::bind("[api]", &taken).unwrap_err().to_string();
    assert!(error.starts_with("[api] cannot listen on 127.0.0.1:"), "{error}");
    assert!(error.contains("another program does"), "{error}");
    let http = Http::plain(serving.addresses()[0]);
    drop(serving);
    wait_for("the end", || http.connect().err());
}

#[test]
fn tls_is_spoken_and_a_client_certificate_asked_for_where_the_settings_say_so() {
    let pki = Pki::new();
    let (_serving, address) = serve(&with_tls(&pki, false), Limits::default());
    let ca = pki.file("ca", "crt");
    let answer = Http::tls(address, &ca, None).send("GET", "/who", &[], None);
    assert_eq!((answer.status, answer.text()), (200, "127.0.0.1".to_owned()));
    // Without TLS there is no answer.
    Http::plain(address).try_send("GET", "/who", &[], None).unwrap_err();

    pki.signed("client", "ca", "basicConstraints=CA:FALSE\n");
    pki.authority("other");
    pki.signed("stranger", "other", "basicConstraints=CA:FALSE\n");
    let (_serving, address) = serve(&with_tls(&pki, true), Limits::default());
    let own = |name: &str| (pki.file(name, "crt"), pki.file(name, "key"));
    let (certificate, key) = own("client");
    let client = Http::tls(address, &ca, Some((&certificate, &key)));
    assert_eq!(client.send("GET", "/who", &[], None).status, 200);
    let (certificate, key) = own("stranger");
    let stranger = Http::tls(address, &ca, Some((&certificate, &key)));
    stranger.try_send("GET", "/who", &[], None).unwrap_err();
    Http::tls(address, &ca, None).try_send("GET", "/who", &[], None).unwrap_err();
}

#[test]
fn a_certificate_is_replaced_while_it_is_in_use_and_only_by_one_that_is_usable() {
    let pki = Pki::new();
    let (serving, address) = serve(&with_tls(&pki, false), Limits::default());
    let old = Http::tls(address, &pki.file("ca", "crt"), None);
    let asks = |http: &Http| http.try_send("GET", "/who", &[], None).ok();
    assert!(asks(&old).is_some() && serving.expires().is_some());

    // A certificate without its key: that in use stays, and the fault is named.
    let good_key = fs::read(pki.file("server", "key")).unwrap();
    pki.authority("ca");
    pki.server("next");
    fs::copy(pki.file("next", "crt"), pki.file("server", "crt")).unwrap();
    serving.renew();
    let problem = wait_for("the problem", || serving.problem());
    assert!(problem.contains("cannot be used together"), "{problem}");
    assert!(problem.contains("server.crt") && problem.contains("server.key"), "{problem}");
    assert!(asks(&old).is_some());

    // Its key comes, too: nobody has to say so again, but it is faster.
    fs::copy(pki.file("next", "key"), pki.file("server", "key")).unwrap();
    assert_ne!(fs::read(pki.file("server", "key")).unwrap(), good_key);
    serving.renew();
    let new = Http::tls(address, &pki.file("ca", "crt"), None);
    wait_for("the new certificate", || asks(&new));
    wait_for("the end of the problem", || serving.problem().is_none().then_some(()));
    assert!(asks(&old).is_none(), "the old authority has not signed the new certificate");
}

#[test]
fn without_a_usable_certificate_nobody_is_served_until_there_is_one() {
    let pki = Pki::new();
    let certificate = fs::read(pki.file("server", "crt")).unwrap();
    fs::write(pki.file("server", "crt"), "nothing here").unwrap();
    let (serving, address) = serve(&with_tls(&pki, false), Limits::default());
    let problem = serving.problem().unwrap();
    assert!(problem.contains("there is no usable certificate in"), "{problem}");
    let http = Http::tls(address, &pki.file("ca", "crt"), None);
    http.try_send("GET", "/who", &[], None).unwrap_err();
    fs::write(pki.file("server", "crt"), certificate).unwrap();
    serving.renew();
    wait_for("an answer", || http.try_send("GET", "/who", &[], None).ok());
}

#[test]
fn connections_are_limited_in_number_and_in_time() {
    let limits = Limits {
        connections: 6,
        per_address: 4,
        handshake: Duration::from_millis(300),
        head: Duration::from_millis(300),
        ..Limits::default()
    };
    let (serving, address) = serve(&loopback(), limits);
    let http = Http::plain(address);
    // Those that send nothing hold their share for the time of a head.
    let mut idle: Vec<_> = (0..limits.per_address).map(|_| http.connect().unwrap()).collect();
    wait_for("a connection that is closed at once", || {
        let mut further = http.connect().unwrap();
        let started = Instant::now();
        let closed = further.read(&mut [0; 1]).unwrap_or(0) == 0;
        (closed && started.elapsed() < limits.head / 2 && serving.turned_away() > 0).then_some(())
    });
    for stream in &mut idle {
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    }
    assert_eq!(http.send("GET", "/who", &[], None).status, 200);
    // A head that comes byte by byte has the same time.
    let (mut slow, started) = (http.connect().unwrap(), Instant::now());
    for byte in b"GET /who HTTP/1.1\r\nHost: x\r\nA: ".iter().chain(b"slow".iter().cycle()) {
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(started.elapsed() < limits.head * 20, "the head may take for ever");
    }
    // Several requests on one connection.
    let mut stream = http.connect().unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().text(), "127.0.0.1");
    }

    let pki = Pki::new();
    let (_serving, address) = serve(&with_tls(&pki, false), limits);
    let mut silent = Http::plain(address).connect().unwrap();
    let started = Instant::now();
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(started.elapsed() < Duration::from_secs(10), "a handshake may take for ever");
}
