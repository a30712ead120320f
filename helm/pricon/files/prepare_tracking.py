"""Makes the tracking server's databases ready before it starts.

Brings them to the schema of this MLflow, and their two accounts to what the secrets say: a password
is changed by changing its secret and restarting the pod. Accounts of people are left alone.
"""

import configparser
import os
from pathlib import Path

from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.db import utils as database


def main() -> None:
    engine = database.create_sqlalchemy_engine_with_retry(os.environ["MLFLOW_BACKEND_STORE_URI"])
    if database._all_tables_exist(engine):
        database._upgrade_db(engine)
    else:
        database._initialize_tables(engine)
    if "AUTH_CONFIG" in os.environ:
        prepare_accounts(os.environ)


def prepare_accounts(environment: os._Environ[str]) -> None:
    store = SqlAlchemyStore()
    store.init_db(environment["AUTH_DATABASE_URI"])
    for role, is_admin in (("ADMIN", True), ("RUN", False)):
        name, password = environment[f"{role}_USERNAME"], environment[f"{role}_PASSWORD"]
        if store.has_user(name):
            store.update_user(name, password=password, is_admin=is_admin)
        else:
            store.create_user(name, password, is_admin=is_admin)
    config = configparser.ConfigParser(interpolation=None)
    config["mlflow"] = {
        "default_permission": environment["DEFAULT_PERMISSION"],
        "database_uri": environment["AUTH_DATABASE_URI"].replace("%", "%%"),
        "admin_username": environment["ADMIN_USERNAME"],
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": environment["REMEMBER_SECONDS"],
    }
    path = Path(environment["AUTH_CONFIG"])
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        config.write(file)


if __name__ == "__main__":
    main()
