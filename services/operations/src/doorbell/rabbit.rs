//! A doorbell through RabbitMQ: a durable quorum queue, whose confirmed messages survive the broker's crash, and another
//! for those it gave up delivering.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind,
};
use malla_runtime::config::{self, Secret};
use malla_runtime::module::StartError;
use malla_runtime::shutdown::Shutdown;
use tokio::sync::{Mutex, mpsc, watch};

use super::{Doorbell, Ring, Unheard};

const QUEUE: &str = "malla.operations";
const DEAD: &str = "malla.operations.dead";
/// Deliveries of a message that ended without an answer, before it goes to the dead ones.
const DELIVERIES_MAX: i64 = 5;
/// Messages the queue holds; more are refused.
const MESSAGES_MAX: i64 = 100_000;
/// Messages a process is given at once.
pub(super) const PREFETCH: u16 = 16;
/// Messages the queue of the dead holds, and for how long. They are for people: their calls are rung for again. The oldest
/// make room.
const DEAD_MAX: i64 = 10_000;
const DEAD_MS: i64 = 7 * 86_400_000;
const HEARTBEAT_S: u16 = 15;
/// A broker that has just started may take its time over a quorum queue.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// How long a broker may take to confirm: whoever waits for the acceptance of a call has to be told within a second.
const RING_TIMEOUT: Duration = Duration::from_millis(500);

/// A doorbell at a broker, which may come and go.
pub(crate) struct Rabbit {
    /// To publish on; `None` without a connection.
    channel: watch::Receiver<Option<Channel>>,
    heard: Mutex<mpsc::UnboundedReceiver<Ring>>,
}

/// Reads the broker's address.
///
/// # Errors
/// [`config::Error::Invalid`] when it is none.
pub(crate) fn address(url: &Secret) -> Result<AMQPUri, config::Error> {
    let expected = "it may be amqp://user:password@host:port/vhost, or empty for no broker";
    let refuse = |_| config::Error::invalid("operations.broker.url", "***", expected);
    let mut address: AMQPUri = url.expose().parse().map_err(refuse)?;
    address.query.heartbeat = Some(HEARTBEAT_S);
    Ok(address)
}

/// What one connection to the broker comes to.
struct Line {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
}

impl Rabbit {
    /// Connects, and stays connected until the process drains. A broker that is not there may come later.
    ///
    /// # Errors
    /// The broker refuses: wrong credentials, or queues of other kinds under our names.
    pub(crate) async fn connect(address: AMQPUri, shutdown: Shutdown) -> Result<Self, StartError> {
        let first = match tokio::time::timeout(CONNECT_TIMEOUT, open(&address)).await {
            Ok(Ok(line)) => Some(line),
            Ok(Err(error)) if is_refusal(&error) => {
                return Err(format!(
                    "the broker at operations.broker.url refuses: {error}; give other credentials, or remove the \
                     queues and the exchange named {QUEUE} and {DEAD} if another program made them"
                )
                .into());
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the broker cannot be reached; calls are not deferred until it can be");
                None
            }
            Err(_) => {
                tracing::warn!("the broker does not answer; calls are not deferred until it does");
                None
            }
        };
        let (current, channel) = watch::channel(first.as_ref().map(|line| line.channel.clone()));
        // Holds what the broker gives at once. Were it to block, the loss of the connection would go unnoticed.
        let (rings, heard) = mpsc::unbounded_channel();
        tokio::spawn(keep(address, first, current, rings, shutdown));
        Ok(Self { channel, heard: Mutex::new(heard) })
    }
}

#[async_trait]
impl Doorbell for Rabbit {
    async fn ring(&self, id: &str) -> Result<(), Unheard> {
        let channel = self.channel.borrow().clone();
        let channel = channel.ok_or_else(|| Unheard("the broker is not connected".to_owned()))?;
        let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(id.into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let publishing = async {
            let sent = channel.basic_publish("".into(), QUEUE.into(), options, &[], properties).await?;
            sent.await
        };
        match tokio::time::timeout(RING_TIMEOUT, publishing).await {
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(_)))) => Err(Unheard("the broker has no queue for it".to_owned())),
            Ok(Ok(_)) => Err(Unheard("the broker did not take it".to_owned())),
            Ok(Err(error)) => Err(Unheard(error.to_string())),
            Err(_) => Err(Unheard("the broker did not confirm in time".to_owned())),
        }
    }

    async fn heard(&self) -> Ring {
        match self.heard.lock().await.recv().await {
            Some(ring) => ring,
            // The process drains.
            None => std::future::pending().await,
        }
    }

    fn is_well(&self) -> bool {
        self.channel.borrow().is_some()
    }
}

/// Listens, and connects again whenever the connection is lost.
async fn keep(
    address: AMQPUri,
    mut line: Option<Line>,
    current: watch::Sender<Option<Channel>>,
    rings: mpsc::UnboundedSender<Ring>,
    shutdown: Shutdown,
) {
    loop {
        if let Some(mut open) = line.take() {
            let _ = current.send(Some(open.channel.clone()));
            let lost = tokio::select! {
                lost = listen(&mut open.consumer, &rings) => lost,
                () = closed(&open.channel) => "the broker closed the channel".to_owned(),
                () = shutdown.draining() => {
                    // Its task must not outlive the runtime.
                    let _ = open.connection.close(200, "draining".into()).await;
                    return;
                }
            };
            let _ = current.send(None);
            tracing::warn!(error = %lost, "the connection to the broker was lost");
        }
        tokio::select! {
            () = tokio::time::sleep(RECONNECT_PAUSE) => {}
            () = shutdown.draining() => return,
        }
        line = match tokio::time::timeout(CONNECT_TIMEOUT, open(&address)).await {
            Ok(Ok(line)) => {
                tracing::info!("the broker is connected again");
                Some(line)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the broker cannot be reached yet");
                None
            }
            Err(_) => {
                tracing::debug!("the broker does not answer yet");
                None
            }
        };
    }
}

/// Hands rings over until the connection is lost, and tells why.
async fn listen(consumer: &mut Consumer, rings: &mpsc::UnboundedSender<Ring>) -> String {
    while let Some(delivery) = consumer.next().await {
        let delivery = match delivery {
            Ok(delivery) => Box::new(delivery),
            Err(error) => return error.to_string(),
        };
        let id = delivery.properties.message_id().as_ref().map(ShortString::to_string).unwrap_or_default();
        if rings.send(Ring { id, delivery: Some(delivery) }).is_err() {
            break;
        }
    }
    "the consumer was cancelled".to_owned()
}

/// Waits until nothing can be published on a channel any more: that alone ends no consumer.
async fn closed(channel: &Channel) {
    while channel.status().connected() {
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn open(address: &AMQPUri) -> Result<Line, lapin::Error> {
    let properties = ConnectionProperties::default().with_connection_name(QUEUE.into());
    let connection = Connection::connect_uri(address.clone(), properties).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    // Of its own: an error of one must not close the other.
    let consuming = connection.create_channel().await?;
    consuming.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer = consuming.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    Ok(Line { connection, channel, consumer })
}

/// Without `at-least-once` and `reject-publish` a dead letter could be lost on its way.
async fn declare(channel: &Channel) -> Result<(), lapin::Error> {
    let text = |value: &str| AMQPValue::LongString(value.into());
    let quorum = || {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments
    };
    let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(DEAD.into(), ExchangeKind::Fanout, exchange, FieldTable::default()).await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut arguments = quorum();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(DEAD_MAX));
    arguments.insert("x-overflow".into(), text("drop-head"));
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(DEAD_MS));
    channel.queue_declare(DEAD.into(), durable, arguments).await?;
    channel.queue_bind(DEAD.into(), DEAD.into(), "".into(), QueueBindOptions::default(), FieldTable::default()).await?;
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERIES_MAX));
    arguments.insert("x-dead-letter-exchange".into(), text(DEAD));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MESSAGES_MAX));
    channel.queue_declare(QUEUE.into(), durable, arguments).await?;
    Ok(())
}

/// Whether the broker answered, and said no.
fn is_refusal(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(_))
}
