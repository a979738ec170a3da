#!/usr/bin/env bats
# S3 as a far place: a server that checks signatures, and keys from where users of AWS have them.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

scenario_setup() {
  aws_clean
  web_contents
}

# signed_by MODE-OF-badstore [PARAMS]: whether requests are signed by the key of that name.
signed_by() {
  place "s3://$1/x?endpoint=http://127.0.0.1:$BAD_PORT${2:+&$2}" <<END
has $A_NAME
wait
why
END
  said '^has .* error ENOENT'
  said '^why HEAD: it answers 404'
}
no_keys() {
  place "s3://ANY/x?endpoint=http://127.0.0.1:$BAD_PORT${2:+&$2}" <<END
has $A_NAME
wait
why
END
  said '^has .* error EACCES'
  said "^why .*$1"
}

# bats test_tags=long
@test "rclone serve s3: signed; odd letters in a prefix; a wrong key; no bucket" {
  rclone_start
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  does_all "s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT"
  does_all "s3://bucket/a%20b%2B%3D%40:()*!%2C/%C3%A4?endpoint=http://127.0.0.1:$S3_PORT&region=eu-x-1&style=path"
  [ -f "$FARM/rclone/bucket/a b+=@:()*!,/ä/v1/blobs/${A_NAME:0:2}/$A_NAME" ]
  does_many "s3://bucket/many?endpoint=http://127.0.0.1:$S3_PORT" 40 3000
  AWS_SECRET_ACCESS_KEY=SECRET-2 DRAY_LOG=debug place "s3://bucket/team?endpoint=http://127.0.0.1:$S3_PORT" 2>"$LOGS/place-log" <<END
get $A_NAME $WORK/none
put $A
wait
why
END
  said '^get .* error ENOENT'
  said '^put .* error EACCES'
  said '^why (PUT|GET): it answers 403 SignatureDoesNotMatch'
  [ "$(grep -c 'counts as not there' "$LOGS/place-log")" -le 1 ]
  DRAY_LOG=warn place "s3://no-bucket/team?endpoint=http://127.0.0.1:$S3_PORT" 2>"$LOGS/place-log" <<END
get $A_NAME $WORK/none
put $A
END
  said '^get .* error ENOENT'
  said '^put .* error ENOTDIR'
  # nothing shows a key
  fails grep -rqE 'SECRET-[12]' "$LOGS"
}

@test "each request is signed: odd letters in a prefix, a token; a wrong key" {
  bad_start
  export AWS_ACCESS_KEY_ID=KEY AWS_SECRET_ACCESS_KEY=s3cr3t-KEY
  PUT_AGAIN=1 does_all "s3://KEY/team?endpoint=http://127.0.0.1:$BAD_PORT"
  does_all "s3://KEY/a%20b%2B%3D%40:()*!%2C/%C3%A4?endpoint=http://127.0.0.1:$BAD_PORT&region=eu-x-1&style=path&sse=aws:kms"
  AWS_SESSION_TOKEN=t0ken does_all "s3://KEY/token?endpoint=http://127.0.0.1:$BAD_PORT&storage_class=STANDARD_IA"
  AWS_SECRET_ACCESS_KEY=s3cr3t-2 DRAY_LOG=warn place "s3://KEY/team?endpoint=http://127.0.0.1:$BAD_PORT" 2>"$LOGS/place-log" <<END
get $A_NAME $WORK/none
wait
has $A_NAME
put $A
wait
why
END
  said '^get .* error ENOENT'
  said '^has .* error ENOENT'
  said '^put .* error EACCES'
  said '^why (PUT|HEAD): it answers 403'
  [ "$(grep -c 403 "$LOGS/place-log")" -eq 1 ]
  grep -q 'GET: it answers 403 SignatureDoesNotMatch: what cannot be read counts as not there' "$LOGS/place-log"
  # nothing shows a key
  fails grep -rqE 's3cr3t|t0ken' "$LOGS"
}

@test "headers of a put; both styles; a store that wants another region, or another time" {
  bad_start
  export AWS_ACCESS_KEY_ID=KEY AWS_SECRET_ACCESS_KEY=s3cr3t AWS_SESSION_TOKEN=t0ken
  place "s3://ok/x?endpoint=http://127.0.0.1:$BAD_PORT&sse=aws:kms&storage_class=STANDARD_IA" <<END
put $B
END
  said "^put 0 $B_NAME"
  grep 'PUT	/ok/x/v1/blobs/' "$FARM/bad" >"$WORK/put"
  grep -q 'x-amz-server-side-encryption=aws:kms' "$WORK/put"
  grep -q 'x-amz-storage-class=STANDARD_IA' "$WORK/put"
  grep -q 'x-amz-security-token=t0ken' "$WORK/put"
  grep -q '/us-east-1/s3/aws4_request' "$WORK/put"
  # a header that old ones of libcurl sign wrongly
  place "s3://KEY/x?endpoint=http://127.0.0.1:$BAD_PORT&sse=aws:kms&sse_key=my-key" <<END
put $B
END
  said '^open error ENOPKG: .*libcurl 8.10' || said "^put 0 $B_NAME"
  place "s3://bucket/ok/x?endpoint=http://localhost:$BAD_PORT&style=virtual&region=eu-x-1" <<END
has $B_NAME
END
  grep -q "HEAD	/ok/x/v1.*/eu-x-1/s3/.*host=bucket.localhost:$BAD_PORT" "$FARM/bad"
  DRAY_LOG=warn place "s3://other_region/x?endpoint=http://127.0.0.1:$BAD_PORT" 2>"$LOGS/place-log" <<END
get $B_NAME $WORK/none
END
  said '^get .* error EREMOTEIO'
  grep -q 'in another region: region=eu-far-1' "$LOGS/place-log"
  DRAY_LOG=warn place "s3://skewed/x?endpoint=http://127.0.0.1:$BAD_PORT" 2>"$LOGS/place-log" <<END
get $B_NAME $WORK/none
END
  said '^get .* error ENOENT'
  grep -q 'clock is wrong' "$LOGS/place-log"
  : >"$FARM/bad"
  place "s3://ok/x?endpoint=http://127.0.0.1:$BAD_PORT&anonymous=yes" <<END
get $B_NAME $WORK/back
END
  said "^get $B_NAME"
  fails grep -qE 'authorization|x-amz' "$FARM/bad"
  fails grep -rqE 's3cr3t|t0ken' "$LOGS"
}

@test "keys by variables, profiles, web identity, container, instance: the first that is there" {
  bad_start
  export AWS_CONFIG_FILE=$WORK/config AWS_SHARED_CREDENTIALS_FILE=$WORK/credentials
  cat >"$WORK/credentials" <<END
[default]
aws_access_key_id = DEFAULT
aws_secret_access_key = s3cr3t-DEFAULT
[named]
aws_access_key_id = NAMED
aws_secret_access_key = s3cr3t-NAMED
[half]
aws_access_key_id = HALF
END
  cat >"$WORK/config" <<END
[profile web]
role_arn = arn:aws:iam::1:role/r
web_identity_token_file = $WORK/identity
[profile process]
credential_process = echo
[profile empty]
region = eu-x-9
[profile INCONFIG]
aws_access_key_id = INCONFIG
aws_secret_access_key = s3cr3t-INCONFIG
END
  echo w3b.identity >"$WORK/identity"
  export AWS_ENDPOINT_URL_STS=http://127.0.0.1:$BAD_PORT/sts
  # a profile that is named is the only one that counts
  export AWS_ACCESS_KEY_ID=VARIABLE AWS_SECRET_ACCESS_KEY=s3cr3t-VARIABLE
  signed_by NAMED profile=named
  signed_by INCONFIG profile=INCONFIG
  signed_by WEB profile=web
  grep -q 'HEAD	/WEB/.*x-amz-security-token=t0ken-WEB' "$FARM/bad"
  no_keys 'has no keys' profile=empty
  no_keys 'there is no profile of that name' profile=none
  no_keys 'not whole' profile=half
  no_keys '.credential_process. *, which is not known' profile=process
  # variables, then web identity, then the default profile
  export AWS_WEB_IDENTITY_TOKEN_FILE=$WORK/identity AWS_ROLE_ARN=arn:aws:iam::1:role/r AWS_PROFILE=named
  signed_by VARIABLE
  unset AWS_SECRET_ACCESS_KEY
  no_keys 'not whole'
  unset AWS_ACCESS_KEY_ID
  signed_by WEB
  AWS_ROLE_ARN=arn:aws:iam::1:role/other no_keys 'AssumeRoleWithWebIdentity: it answers 403 AccessDenied'
  AWS_WEB_IDENTITY_TOKEN_FILE=$WORK/none no_keys 'no web identity in '
  unset AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN
  signed_by NAMED
  AWS_PROFILE=none no_keys 'there is no profile of that name'
  unset AWS_PROFILE
  signed_by DEFAULT
  rm "$WORK/credentials"
  # a container, which proves who it is
  export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$BAD_PORT AWS_EC2_METADATA_DISABLED=false
  export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$BAD_PORT/container
  AWS_CONTAINER_AUTHORIZATION_TOKEN=the-container signed_by CONTAINER
  printf 'the-container\n' >"$WORK/container-token"
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$WORK/container-token signed_by CONTAINER
  no_keys "the container's service: it answers 403"
  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://localhost:80@192.0.2.1/ no_keys 'neither https nor of this machine'
  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1/ no_keys 'neither https nor of this machine'
  unset AWS_CONTAINER_CREDENTIALS_FULL_URI
  # an instance's role; no proxy is asked for it
  http_proxy=http://127.0.0.1:1 no_proxy=127.0.0.1 signed_by INSTANCE
  AWS_EC2_METADATA_DISABLED=true no_keys 'no keys are found'
  AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$BAD_PORT/404 no_keys 'no keys are found'
  fails grep -rqE 's3cr3t|t0ken|w3b.identity|the-container' "$LOGS"
}

@test "keys for a time that end meanwhile are got anew" {
  local n
  bad_start
  export AWS_CONFIG_FILE=$WORK/config AWS_SHARED_CREDENTIALS_FILE=$WORK/credentials
  export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$BAD_PORT AWS_EC2_METADATA_DISABLED=false
  # many that want them wait for one request
  does_many "s3://INSTANCE/x?endpoint=http://127.0.0.1:$BAD_PORT" 30 100
  n=$(grep -c '/latest/api/token' "$FARM/bad")
  [ "$n" -eq 1 ]
  # the store says that they are old, and ones that were got just now are no better
  place "s3://key_is_old/x?endpoint=http://127.0.0.1:$BAD_PORT" <<END
get $A_NAME $WORK/none
wait
why
END
  said '^get .* error EREMOTEIO'
  said '^why GET: it answers 400 ExpiredToken'
}
