//! What is known of one client connection, and kept ready for its requests.

use std::cell::RefCell;
use std::net::IpAddr;

use http::HeaderValue;

use crate::forward::forwarded;

/// One client connection.
#[derive(Debug)]
pub struct Client {
    address: IpAddr,
    forwarded_for: HeaderValue,
    /// The member of `Forwarded` made last, by the host asked for: clients rarely ask for more than one.
    forwarded: RefCell<Option<(Option<HeaderValue>, HeaderValue)>>,
}

impl Client {
    /// A client at `address`.
    pub fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let forwarded_for = HeaderValue::try_from(address.to_string()).expect("an address is visible ASCII");
        Self { address, forwarded_for, forwarded: RefCell::new(None) }
    }

    /// The client's address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its address as a member of `X-Forwarded-For`.
    pub fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    /// The member of `Forwarded` for a request for `host`.
    pub fn forwarded(&self, host: Option<&HeaderValue>) -> HeaderValue {
        let mut last = self.forwarded.borrow_mut();
        match &*last {
            Some((known, element)) if known.as_ref() == host => element.clone(),
            _ => {
                let element = forwarded::element(self.address, host);
                *last = Some((host.cloned(), element.clone()));
                element
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_gets_its_own_element() {
        let client = Client::at("192.0.2.1".parse().unwrap());
        let (a, b) = (HeaderValue::from_static("a"), HeaderValue::from_static("b"));
        for host in [&a, &b, &a, &a] {
            assert_eq!(client.forwarded(Some(host)), forwarded::element(client.address(), Some(host)));
        }
        assert_eq!(client.forwarded(None), forwarded::element(client.address(), None));
    }
}
