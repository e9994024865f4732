"""Uploads $COPY: upload.py BUCKET KEY. The storage's name of an error is the failure's type (`non_retryable_types`)."""

from __future__ import annotations

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def upload(bucket: str, key: str) -> None:
    storage = boto3.client("s3", config=Config(retries={"total_max_attempts": 1}))  # jobctl tries again, and tells
    with open(os.environ["COPY"], "rb") as copy:
        storage.put_object(Bucket=bucket, Key=key, Body=copy)
    say("JOBCTL_OUTPUT", f"place=s3://{bucket}/{key}")


def say(file: str, line: str) -> None:
    print(line)
    with open(os.environ[file], "a", encoding="utf-8") as opened:
        print(line, file=opened)


if __name__ == "__main__":
    try:
        upload(*sys.argv[1:])
    except ClientError as error:
        say("JOBCTL_FAILURE", f"type={error.response['Error']['Code']}")
        say("JOBCTL_FAILURE", f"message={error}")
        sys.exit(1)
    except BotoCoreError as error:  # the storage did not answer, or there are no credentials
        say("JOBCTL_FAILURE", f"message={error}")
        sys.exit(1)
