import json, pytest
from tests.api.house import *
from tests.factories import *
from tests import sales
pytestmark = pytest.mark.db

def show(tag, r):
    print(f"{tag}: {r.status_code} {r.headers.get('content-type')} {r.text[:230]}")

def test_try(house):
    import time
    M=house.caller(Role.REGISTRAR_MAKER)
    t=time.time()
    with house.desk() as desk:
        draft=open_apartment(desk)
        wrapped=sales.wrapped_apartment(desk)
        tok=sales.approved(desk, sales.wrapped_apartment(desk))
        sale=sales.offering(desk, sales.wrapped_apartment(desk))
        b=buyer(desk)
        who,inv=enrolled(desk)
    print('built',time.time()-t)
    t=time.time(); house.contents(); print('contents', time.time()-t)
    t=time.time(); show('me', M.get('/v1/me')); print(time.time()-t)
    show('surrogate reason', house.caller(Role.REGISTRAR_CHECKER).ask('POST', f'/v1/assets/{draft.id}/reject', content=b'{"reason":"\\ud800abc"}', headers={'content-type':'application/json'}))
    show('surrogate key', house.caller(Role.REGISTRAR_CHECKER).ask('POST', f'/v1/assets/{draft.id}/reject', content=b'{"\\ud800":"abc"}', headers={'content-type':'application/json'}))
    show('nul reason', house.caller(Role.REGISTRAR_CHECKER).post(f'/v1/assets/{draft.id}/reject', {'reason':'a\0bc'}))
    show('nul query', M.get('/v1/assets', code='a\0'))
    show('nul subj', house.caller(Role.AUDITOR).get('/v1/journal', subject_id='a\0'))
    show('deep', M.ask('POST','/v1/parties', content=b'{"name":'+b'['*100000+b']'*100000+b'}', headers={'content-type':'application/json'}))
    show('bigint', M.ask('POST','/v1/parties', content=b'{"name":'+b'9'*5000+b'}', headers={'content-type':'application/json'}))
    show('notutf8', M.ask('POST','/v1/parties', content=b'{"name":"\xff"}', headers={'content-type':'application/json'}))
    show('nan', M.ask('POST','/v1/parties', content=b'{"name":NaN, "kind": NaN}', headers={'content-type':'application/json'}))
    show('empty', M.ask('POST','/v1/parties', headers={'content-type':'application/json'}))
    show('notjson', M.ask('POST','/v1/parties', content=b'{', headers={'content-type':'application/json'}))
    show('text', M.ask('POST','/v1/parties', content=b'{}', headers={'content-type':'text/plain'}))
    show('ifmatch', M.patch(f'/v1/assets/{draft.id}', {}, **{'If-Match':'9'*5000}))
    show('upload nokey', M.upload(f'/v1/assets/{draft.id}/documents', pdf()))
    show('upload key', M.upload(f'/v1/assets/{draft.id}/documents', pdf(), key='k1'))
    show('upload big', M.upload(f'/v1/assets/{draft.id}/documents', pdf()+b'0'*400000))
    show('upload big key', M.upload(f'/v1/assets/{draft.id}/documents', pdf()+b'0'*400000, key='kbig'))
    show('upload 1 over', M.upload(f'/v1/assets/{draft.id}/documents', pdf()+b'0'*200000))
    show('upload nul', M.upload(f'/v1/assets/{draft.id}/documents', pdf(), name='a\0b.pdf'))
    show('upload trav', M.upload(f'/v1/assets/{draft.id}/documents', pdf(), name='../../../../etc/passwd\r\nX: y'))
    show('notfound', M.get('/v1/nope'))
    show('405', M.ask('DELETE', '/v1/parties'))
    show('405 head', M.ask('HEAD', '/v1/parties'))
    show('empty cnic', M.post('/v1/parties', {'kind':'NATURAL','name':'x','cnic':''}))
    show('empty cnic2', M.post('/v1/parties', {'kind':'NATURAL','name':'x','cnic':''}))
    show('empty lei', M.post('/v1/parties', {'kind':'LEGAL','name':'x','lei':'', 'cuin':'', 'scac':'AB'}))
    show('arabic digits code', M.post('/v1/assets', {'code':'LHR-APT-000١'}))
    I=house.caller(wrapped.issuer.actor)
    terms={'symbol':'ZERO','name':'z','declared_fractions':'0','price':{'amount':'1.00'}}
    show('zero fractions', I.post(f'/v1/assets/{wrapped.asset.id}/tokenizations', terms))
    show('zero price', I.post(f'/v1/assets/{wrapped.asset.id}/tokenizations', terms|{'declared_fractions':'5','price':{'amount':'0'}}))
    show('huge', I.post(f'/v1/assets/{wrapped.asset.id}/tokenizations', terms|{'declared_fractions':'9'*18,'price':{'amount':'999999999999999.99'}}))
    other=house.caller(actor(Role.ISSUER))
    show('other deploy', other.post(f'/v1/tokenizations/{tok.id}/deploy'))
    show('ready', house.stranger().get('/readyz'))
    show('metrics', house.stranger().get('/metrics'))
    show('cap table undeployed', house.caller(Role.AUDITOR).get(f'/v1/tokens/{tok.id}'))
    show('holders', house.caller(Role.AUDITOR).get(f'/v1/tokens/{sale.tokenization_id}/holders?purpose=abc&legal_basis=abc'))
    show('asof', house.caller(Role.AUDITOR).get(f'/v1/tokens/{sale.tokenization_id}?as_of=nonsense'))
    show('asof', house.caller(Role.AUDITOR).get(f'/v1/tokens/{sale.tokenization_id}?as_of=0001-01-01T00:00:00%2B23:59'))
    show('title asof', M.get(f'/v1/titles/{draft.id}', as_of='2026-01-01'))
