//! What the operator has started is started here: `klatch dependency` on the PostgreSQL, RabbitMQ and Redis of the tests, as a
//! user that is not root, with the files that `klatch-desired` renders.

mod place;
mod postgres;
mod rabbitmq;
mod redis;
mod rights;
