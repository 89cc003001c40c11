"""Every door of the back room: blueprints registered; all schedules and queue consumers, one line each.

Schedules and queues must stand here: from a blueprint they would deploy with a handler that never imports this module.
"""

from chalice.app import Chalice, CloudWatchEvent, Rate, SQSEvent

from chalicelib.handlers import doors, work

app = Chalice(app_name="backroom")
app.api.binary_types = []
for blueprint in doors.blueprints():
    app.register_blueprint(blueprint)


@app.schedule(Rate(5, unit=Rate.MINUTES), name="sweep")
def sweep(event: CloudWatchEvent) -> int:
    return work.sweep(event)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay")
def relay(event: CloudWatchEvent) -> int:
    return work.relay(event)


@app.schedule(Rate(1, unit=Rate.DAYS), name="reconcile_all")
def reconcile_all(event: CloudWatchEvent) -> int:
    return work.reconcile_all(event)


@app.on_sqs_message(queue="backroom-rebill", batch_size=1, name="rebill")
def rebill(event: SQSEvent) -> dict[str, object]:
    return work.rebill(event)


@app.on_sqs_message(queue="backroom-deliver", batch_size=1, name="deliver")
def deliver(event: SQSEvent) -> dict[str, object]:
    return work.deliver(event)


@app.on_sqs_message(queue="backroom-reconcile", batch_size=1, name="reconcile")
def reconcile(event: SQSEvent) -> dict[str, object]:
    return work.reconcile(event)


@app.on_sqs_message(queue="backroom-files", batch_size=1, name="files")
def files(event: SQSEvent) -> dict[str, object]:
    return work.files(event)
