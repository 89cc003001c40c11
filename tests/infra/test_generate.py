"""The template says of every table and queue what the code takes for granted."""

from chalicelib.config import QUEUES
from chalicelib.stores.dynamodb import described
from chalicelib.stores.tables import TABLES
from infra.generate import generated, template


def test_the_checked_in_template_is_the_one_that_the_tables_make() -> None:
    assert all(path.read_text() == text for path, text in generated().items())


def test_every_table_is_restorable_encrypted_protected_and_kept() -> None:
    tables = [r for r in template()["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table"]
    assert len(tables) == len(TABLES)
    for table in tables:
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["DeletionProtectionEnabled"]
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        assert properties["SSESpecification"]["SSEEnabled"]
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"


def test_every_queue_has_dead_letters_after_five_receives() -> None:
    resources = template()["Resources"]
    queues = {r["Properties"]["QueueName"]: r["Properties"] for r in resources.values() if r["Type"].endswith("Queue")}
    for name in QUEUES:
        assert queues[f"backroom-{name}"]["RedrivePolicy"]["maxReceiveCount"] == 5
        assert f"backroom-{name}-dead" in queues


def test_the_template_makes_the_same_tables_that_the_adapter_makes() -> None:
    wanted = {r["Properties"].get("TableName"): r["Properties"] for r in template()["Resources"].values()}
    for table in TABLES:
        made = described("backroom-", table)
        for name in ("KeySchema", "GlobalSecondaryIndexes"):
            assert made.get(name) == wanted[f"backroom-{table.name}"].get(name)
        attributes = wanted[f"backroom-{table.name}"]["AttributeDefinitions"]
        assert sorted(made["AttributeDefinitions"], key=str) == sorted(attributes, key=str)
